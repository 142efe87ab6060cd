// Bodies as a running Flowise 3.1.4 and an OpenAI-compatible server sent them; ids and prompts are shortened.

const frame = (event: string, data: unknown) => `message:\ndata:${JSON.stringify({ event, data })}\n\n`;

export const CHAIN_BODY = [
  frame('start', ''),
  frame('token', 'You'),
  frame('token', ' said:'),
  frame('token', ' naïve'),
  ':heartbeat\n\n',
  frame('token', ' 日本語'),
  frame('token', ' 😀'),
  frame('token', ' "quote" \\ back'),
  frame('metadata', {
    chatId: 'upstream-chat-1',
    chatMessageId: 'upstream-message-1',
    question: 'naïve 日本語 😀',
    sessionId: 'upstream-session-1',
    memoryType: 'Buffer Memory',
    followUpPrompts: '["And then?"]',
    flowVariables: [{ secret: 'zanzibar' }],
  }),
  frame('end', '[DONE]'),
].join('');

const agentNode = (usageMetadata: object) => ({
  nodeId: 'agentAgentflow_0',
  nodeLabel: 'Answerer',
  data: {
    input: {
      messages: [{ role: 'system', content: 'zanzibar' }],
      agentModelConfig: { FLOWISE_CREDENTIAL_ID: 'zanzibar' },
    },
    output: { content: 'Tool said: 22', usageMetadata },
  },
  status: 'FINISHED',
});
const startNode = { nodeId: 'startAgentflow_0', nodeLabel: 'Start', data: { output: { question: 'sum' } } };

/** With a tool: the model counted 27 and 25 tokens; the last event says 25, `total_tokens` 77, and 52 is right. */
export const TOOL_BODY = [
  frame('agentFlowEvent', 'INPROGRESS'),
  frame('nextAgentFlow', { nodeId: 'startAgentflow_0', nodeLabel: 'Start', status: 'FINISHED', error: 'zanzibar' }),
  frame('agentFlowExecutedData', [startNode]),
  frame('token', ''),
  frame('calledTools', [{ tool: 'calculator', toolInput: { input: '2+2*10' }, toolOutput: '' }]),
  frame('token', 'Tool'),
  frame('token', ' said:'),
  frame('token', ' 22'),
  frame('usedTools', [
    { tool: 'calculator', toolInput: { input: '2+2*10', apiKey: { deep: 'zanzibar' } }, toolOutput: '22' },
  ]),
  frame('calledTools', []),
  frame('usageMetadata', { input_tokens: 22, output_tokens: 3, total_tokens: 25 }),
  frame('agentFlowExecutedData', [
    startNode,
    agentNode({ input_tokens: 22, output_tokens: 3, total_tokens: 77, tool_call_tokens: 52 }),
  ]),
  frame('agentFlowEvent', 'FINISHED'),
  frame('metadata', { chatId: 'upstream-chat-1', sessionId: 'upstream-chat-1', question: 'sum' }),
  frame('end', '[DONE]'),
].join('');

const chunk = (delta: object, rest: object = {}) =>
  `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: null }], ...rest })}\n\n`;

export const OPENAI_BODY = [
  chunk({ role: 'assistant', content: '' }, { usage: null }),
  chunk({ content: 'Grüße' }, { usage: null }),
  chunk({ content: ' 😀' }, { usage: null }),
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage: null })}\n\n`,
  `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 12, completion_tokens: 4, total_tokens: 16, prompt_tokens_details: { cached_tokens: 5 } } })}\n\n`,
  'data: [DONE]\n\n',
].join('');
