/** What the AI server of the bench sends, made once. */

/** Of a streamed answer: a word each, and each a write of its own. What ends the answer comes with the last word. */
export const CHUNKS = 20;
const WORD = ' credits';
const CREATED = 1_767_225_600;
/** Between the chunks of a paced answer. */
export const PACE_MS = 100;

const FAST_FLOW = 'c4a10000-0000-4000-8000-0000000000b1';
/** Answers whose chunks come apart from one another. */
export const PACED = { openai: 'paced', flowise: 'c4a10000-0000-4000-8000-0000000000b2' } as const;
/** Answers that begin and then stay open. */
export const IDLE = { openai: 'idle', flowise: 'c4a10000-0000-4000-8000-0000000000b3' } as const;
export const FAST = { openai: 'fast', flowise: FAST_FLOW } as const;

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const words = Array.from({ length: CHUNKS }, () => WORD);

export const MODELS = json({
  object: 'list',
  data: [FAST, PACED, IDLE].map(({ openai: id }) => ({ id, object: 'model' })),
});
export const FLOWS = json(
  [FAST, PACED, IDLE].map(({ flowise: id }) => ({
    id,
    name: `bench ${id.slice(-1)}`,
    type: 'CHATFLOW',
    deployed: true,
    isPublic: true,
    updatedDate: '2026-01-01T00:00:00.000Z',
  })),
);

const head = { id: 'chatcmpl-bench', created: CREATED, model: FAST.openai, system_fingerprint: 'fp_bench' };
const usage = { prompt_tokens: 12, completion_tokens: CHUNKS, total_tokens: 12 + CHUNKS };

export function openAiChunks(): Buffer[] {
  const chunk = (fields: object) =>
    Buffer.from(`data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', ...fields })}\n\n`);
  const choice = (delta: object, finish: string | null = null) => ({
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  });
  const end = [chunk(choice({}, 'stop')), chunk({ choices: [], usage }), Buffer.from('data: [DONE]\n\n')];
  return withLast(
    words.map((content, at) => chunk(choice(at === 0 ? { role: 'assistant', content } : { content }))),
    end,
  );
}

const withLast = (chunks: readonly Buffer[], end: readonly Buffer[]): Buffer[] => [
  ...chunks.slice(0, -1),
  Buffer.concat([...chunks.slice(-1), ...end]),
];

export function openAiAnswer(): Buffer {
  const message = { role: 'assistant', content: words.join(''), refusal: null };
  const choices = [{ index: 0, message, logprobs: null, finish_reason: 'stop' }];
  return json({ ...head, object: 'chat.completion', choices, usage });
}

const CHAT = { chatId: 'a0000000-0000-4000-8000-0000000000c1', chatMessageId: 'a0000000-0000-4000-8000-0000000000d1' };

export function flowiseFrames(): Buffer[] {
  const frame = (event: string, data: unknown) => Buffer.from(`message:\ndata:${JSON.stringify({ event, data })}\n\n`);
  const [first = Buffer.alloc(0), ...rest] = words.map((word) => frame('token', word));
  const metadata = { ...CHAT, question: 'What is a hold on credits?', sessionId: CHAT.chatId, memoryType: null };
  // What only says that something goes on is no first byte of an answer: the first word comes with it.
  const tokens = [Buffer.concat([frame('start', ''), first]), ...rest];
  return withLast(tokens, [frame('metadata', metadata), frame('end', '[DONE]')]);
}

export function flowiseAnswer(): Buffer {
  return json({ text: words.join(''), question: 'What is a hold on credits?', ...CHAT, sessionId: CHAT.chatId });
}
