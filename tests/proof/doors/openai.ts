import { dataOf, type Door, type HeardEvent, httpDoor, type Question } from './door.ts';

interface Chunk {
  readonly id?: string;
  readonly choices?: readonly { readonly delta?: Said; readonly message?: Said }[];
  readonly usage?: Cost | null;
  readonly error?: { readonly code: string };
}

interface Said {
  readonly content?: string | null;
}

interface Cost {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly credits: number;
  readonly estimated: boolean;
}

const PREFIX = 'chatcmpl-';
const PATH = '/v1/chat/completions';

function heardIn({ id, choices = [], usage, error }: Chunk): HeardEvent[] {
  if (error) return [{ event: 'error', data: error }];
  const requestId = id?.slice(PREFIX.length);
  const said = choices.flatMap(({ delta, message }) => delta?.content ?? message?.content ?? []);
  return [
    ...said.map((data) => ({ event: 'token', data, requestId })),
    ...(usage ? [{ event: 'usage', data: usageOf(usage), requestId }] : []),
  ];
}

const usageOf = ({ prompt_tokens, completion_tokens, credits, estimated }: Cost) => ({
  credits,
  input_tokens: prompt_tokens,
  output_tokens: completion_tokens,
  estimated,
});

const END: HeardEvent = { event: 'end', data: undefined };
const bodyOf = ({ text, chatflowId }: Question) => ({
  model: chatflowId,
  messages: [{ role: 'user', content: text }],
});
const codeIn = (body: unknown): string => String(Object(Object(body).error).code);

export const OPENAI: readonly Door[] = [
  httpDoor({
    name: 'OpenAI, stream',
    isStreamed: true,
    speaksOpenAi: true,
    post: (question) => ({
      path: PATH,
      body: { ...bodyOf(question), stream: true, stream_options: { include_usage: true } },
    }),
    read(line) {
      const chunk = dataOf(line);
      if (chunk !== undefined) return heardIn(chunk as Chunk);
      return line === 'data: [DONE]' ? [END] : [];
    },
    codeIn,
  }),
  httpDoor({
    name: 'OpenAI, in one piece',
    isStreamed: false,
    speaksOpenAi: true,
    post: (question) => ({ path: PATH, body: bodyOf(question) }),
    read: (text) => [...heardIn(JSON.parse(text) as Chunk), END],
    codeIn,
  }),
];
