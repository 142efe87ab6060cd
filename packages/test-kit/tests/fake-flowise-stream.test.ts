import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type FakeFlowise, startFakeFlowise } from '../src/fakes/fake-flowise.ts';
import { FLOWISE_SECRETS } from '../src/fakes/flowise/flowise-flows.ts';
import { directive, type Scenario } from '../src/fakes/scenario.ts';
import { payloads, post, rawExchange, readChunks } from './wire.ts';

let fake: FakeFlowise;
beforeAll(async () => {
  fake = await startFakeFlowise();
});
beforeEach(() => fake.reset());
afterAll(() => fake.stop());

const head = (flowId: string) => [`POST /api/v1/prediction/${flowId} HTTP/1.1`, 'Content-Type: application/json'];
const predict = (flowId: string, body: object) => post(`${fake.url}/api/v1/prediction/${flowId}`, body);

async function framesOf(flowId: string, body: object): Promise<{ head: string[]; frames: string[] }> {
  const raw = readChunks(await rawExchange(fake.port, head(flowId), JSON.stringify({ streaming: true, ...body })));
  return { head: raw.head, frames: raw.chunks.join('').split(/(?<=\n\n)/) };
}

type Told = { total_tokens: number; tool_call_tokens: number };
type Node = { data: { output: { usageMetadata: Told } } };

async function eventsOf(flowId: string, body: object): Promise<{ event: string; data: unknown }[]> {
  const res = await predict(flowId, { streaming: true, ...body });
  return payloads(await res.body.text()).map((data) => JSON.parse(data));
}

const ask = (scenario: Scenario, text = 'hi') => `${text} ${directive(scenario)}`;

describe('a streamed chain', () => {
  it('has the bytes that a real server was seen to send', async () => {
    const question = ask({ tokens: ['You', ' said:', ' naïve 日本語', ' \\"x\\"'] });
    const { head: lines, frames } = await framesOf(fake.chain.id, { question, chatId: 'chat-1' });
    const messageId = fake.messages(fake.chain.id, 'chat-1')[1]?.id;
    expect(frames).toEqual([
      'message:\ndata:{"event":"start","data":""}\n\n',
      'message:\ndata:{"event":"token","data":"You"}\n\n',
      'message:\ndata:{"event":"token","data":" said:"}\n\n',
      'message:\ndata:{"event":"token","data":" naïve 日本語"}\n\n',
      'message:\ndata:{"event":"token","data":" \\\\\\"x\\\\\\""}\n\n',
      `message:\ndata:{"event":"metadata","data":{"chatId":"chat-1","chatMessageId":"${messageId}","question":${JSON.stringify(question)},"sessionId":"chat-1","memoryType":"Buffer Memory"}}\n\n`,
      'message:\ndata:{"event":"end","data":"[DONE]"}\n\n',
    ]);
    expect(lines[0]).toBe('http/1.1 200 ok');
    expect(lines).toEqual(
      expect.arrayContaining([
        'content-type: text/event-stream',
        'cache-control: no-cache',
        'connection: keep-alive',
        'x-accel-buffering: no',
        'transfer-encoding: chunked',
      ]),
    );
  });

  it('streams for the string "true" and for form bodies as well', async () => {
    const events = await eventsOf(fake.chain.id, { question: 'x', streaming: 'true' });
    expect(events[0]).toEqual({ event: 'start', data: '' });
    const form = new URLSearchParams({ question: 'from a form', streaming: 'true' });
    const res = await fetch(`${fake.url}/api/v1/prediction/${fake.chain.id}`, { method: 'POST', body: form });
    expect(await res.text()).toContain('"data":" form"');
  });

  it('carries no usage, but the fake knows it', async () => {
    const events = await eventsOf(fake.chain.id, { question: ask({ tokens: 4 }) });
    expect(JSON.stringify(events)).not.toMatch(/usage|input_tokens/i);
    expect(fake.requests[0]?.usage.output).toBe(4);
  });

  it('can withhold its tokens and still store the answer', async () => {
    const events = await eventsOf(fake.chain.id, {
      question: ask({ text: 'kept back', withholdTokens: true }),
      chatId: 'c',
    });
    expect(events.map(({ event }) => event)).toEqual(['metadata', 'end']);
    expect(fake.messages(fake.chain.id, 'c')[1]?.content).toBe('kept back');
  });

  it('ends with an error event inside a 200, before or after tokens', async () => {
    const before = await eventsOf(fake.chain.id, {
      question: ask({ tokens: 3, errorEvent: { message: '400 refused' } }),
    });
    expect(before).toEqual([
      { event: 'error', data: 'Error: predictionsServices.buildChatflow - 400 refused' },
      { event: 'end', data: '[DONE]' },
    ]);
    const after = await eventsOf(fake.chain.id, {
      question: ask({ tokens: 3, errorEvent: { after: 2 } }),
      chatId: 'c',
    });
    expect(after.map(({ event }) => event)).toEqual(['start', 'token', 'token', 'error', 'end']);
    expect(fake.messages(fake.chain.id, 'c')).toEqual([]);
  });

  it('leaves out metadata or end when asked to', async () => {
    const events = await eventsOf(fake.chain.id, { question: ask({ tokens: 1, omit: ['metadata', 'end'] }) });
    expect(events.map(({ event }) => event)).toEqual(['start', 'token']);
  });
});

describe('a streamed agent flow', () => {
  it('sends the events of its nodes in the order of a real server', async () => {
    const events = await eventsOf(fake.agentflow.id, { question: ask({ tokens: ['Hello', ' agent'] }) });
    expect(events.map(({ event, data }) => (typeof data === 'string' ? `${event} ${data}` : event))).toEqual([
      'agentFlowEvent INPROGRESS',
      'nextAgentFlow',
      'nextAgentFlow',
      'agentFlowExecutedData',
      'nextAgentFlow',
      'token ',
      'token Hello',
      'token  agent',
      'token ',
      'token ',
      'calledTools',
      'usageMetadata',
      'nextAgentFlow',
      'agentFlowExecutedData',
      'agentFlowEvent FINISHED',
      'metadata',
      'end [DONE]',
    ]);
    const usage = fake.requests[0]?.usage ?? { input: 0, output: 0 };
    expect(usage.output).toBe(2);
    const told = { input_tokens: usage.input, output_tokens: 2, total_tokens: usage.input + 2 };
    expect(events.find(({ event }) => event === 'usageMetadata')?.data).toMatchObject(told);
    const executed = events.filter(({ event }) => event === 'agentFlowExecutedData');
    expect(executed.map(({ data }) => data)).toMatchObject([
      [{ nodeLabel: 'Start' }],
      [{}, { data: { output: { content: 'Hello agent', usageMetadata: { ...told, tool_call_tokens: 0 } } } }],
    ]);
    expect(events.at(-2)?.data).not.toHaveProperty('memoryType');
  });

  it('shows three different totals after a tool call, of which only tool_call_tokens is right', async () => {
    const toolCall = { name: 'calculator', arguments: { input: '2+2*10' }, result: '22' };
    const events = await eventsOf(fake.agentflow.id, { question: ask({ tokens: 3, toolCall }) });
    const { input, output } = fake.requests[0]?.usage ?? { input: 0, output: 0 };
    const frame = events.find(({ event }) => event === 'usageMetadata')?.data as Told;
    const nodes = events.findLast(({ event }) => event === 'agentFlowExecutedData')?.data as [Node, Node];
    const node = nodes[1].data.output.usageMetadata;
    expect(node.tool_call_tokens).toBe(input + output);
    expect(frame.total_tokens).toBeLessThan(node.tool_call_tokens);
    expect(node.total_tokens).toBe(node.tool_call_tokens + frame.total_tokens);
    const called = events.filter(({ event }) => event === 'calledTools').map(({ data }) => data);
    expect(called).toMatchObject([[{ tool: 'calculator', toolOutput: '' }], []]);
    expect(events.find(({ event }) => event === 'usedTools')?.data).toEqual([
      { tool: 'calculator', toolInput: { input: '2+2*10' }, toolOutput: '22' },
    ]);
  });

  it.each<[NonNullable<Scenario['usage']>, string[], RegExp]>([
    ['absent', [], /"calledTools":\[\]\}/],
    ['zero', ['0'], /"output_tokens":0,/],
    ['negative', ['-2'], /"output_tokens":-2,/],
    ['string', ['"2"'], /"output_tokens":"2",/],
    ['overflow', ['1e309'], /"output_tokens":1e309,/],
    ['running', ['1', '2'], /"output_tokens":2,/],
    ['null', [], /"usageMetadata":null/],
  ])('claims usage as told: %j', async (usage, outputs, inExecuted) => {
    const { frames } = await framesOf(fake.agentflow.id, { question: ask({ tokens: 2, usage }) });
    const told = frames.filter((frame) => frame.includes('"event":"usageMetadata"'));
    expect(told.flatMap((frame) => /"output_tokens":([^,]+)/.exec(frame)?.[1] ?? [])).toEqual(outputs);
    expect(frames.findLast((frame) => frame.includes('"event":"agentFlowExecutedData"'))).toMatch(inExecuted);
  });

  it('tells the usage after the metadata when it is late', async () => {
    const events = await eventsOf(fake.agentflow.id, { question: ask({ tokens: 1, usage: 'late' }) });
    const names = events.map(({ event }) => event).slice(-4);
    expect(names).toEqual(['metadata', 'usageMetadata', 'agentFlowExecutedData', 'end']);
  });

  it('leaks what a proxy has to hold back', async () => {
    const { frames } = await framesOf(fake.agentflow.id, { question: 'x' });
    const { credentialId, systemPrompt, modelUrl } = FLOWISE_SECRETS;
    for (const secret of [credentialId, systemPrompt, modelUrl]) expect(frames.join('')).toContain(secret);
  });

  it('reports the failing node and then the error', async () => {
    const events = await eventsOf(fake.agentflow.id, {
      question: ask({ tokens: 2, errorEvent: { after: 1, message: 'bad' } }),
    });
    expect(events.slice(-5).map(({ event }) => event)).toEqual([
      'nextAgentFlow',
      'agentFlowExecutedData',
      'agentFlowEvent',
      'error',
      'end',
    ]);
    expect(events.at(-2)?.data).toBe('Error: predictionsServices.buildChatflow - Error in Agent node: bad');
  });
});
