import type { Payer } from '../stage/accounts.ts';
import type { World } from '../stage/world.ts';
import { FAST, IDLE, PACED } from '../programs/wire.ts';
import type { Call } from './http-ask.ts';

export type Wire = 'openai' | 'flowise';
export type Shape = 'streamed' | 'JSON';
export type Pace = 'fast' | 'paced' | 'idle';

const QUESTION = 'What is a hold on credits?';
const FLOWS = { fast: FAST, paced: PACED, idle: IDLE };
const accepts = (shape: Shape) => (shape === 'streamed' ? 'text/event-stream' : 'application/json');
const headersOf = (shape: Shape, token?: string) => ({
  'content-type': 'application/json',
  accept: accepts(shape),
  ...(token !== undefined && { authorization: `Bearer ${token}` }),
});

/** What is asked of the AI server itself, and of whatever hands it on. */
export function upstreamCall(origin: string, wire: Wire, { shape, pace = 'fast' }: Ask): Call {
  const streamed = shape === 'streamed';
  const name = FLOWS[pace][wire];
  return wire === 'openai'
    ? { ...completionCall(origin, { shape, pace }), headers: headersOf(shape) }
    : {
        origin,
        path: `/api/v1/prediction/${name}`,
        headers: headersOf(shape),
        body: JSON.stringify({ question: QUESTION, ...(streamed && { streaming: true }) }),
        good: streamed ? '"event":"end"' : '"chatMessageId"',
      };
}

interface Ask {
  readonly shape: Shape;
  readonly pace?: Pace;
}

function completionCall(origin: string, { shape, pace = 'fast' }: Ask, token?: string): Call {
  const streamed = shape === 'streamed';
  const messages = [{ role: 'user', content: QUESTION }];
  return {
    origin,
    path: '/v1/chat/completions',
    headers: headersOf(shape, token),
    body: JSON.stringify({ model: FLOWS[pace].openai, messages, ...(streamed && { stream: true }) }),
    good: streamed ? '[DONE]' : '"finish_reason"',
  };
}

/** The same of our proxy: at its own door for Flowise, at the one of OpenAI's wire for models. */
export function ourCall(
  { chatProxy }: Pick<World, 'chatProxy'>,
  wire: Wire,
  { shape, pace = 'fast', token }: Ask & { token: string },
): Call {
  if (wire === 'openai') return completionCall(chatProxy.url, { shape, pace }, token);
  const streamed = shape === 'streamed';
  return {
    origin: chatProxy.url,
    path: `/api/v1/chat/predict${streamed ? '/stream' : ''}`,
    headers: headersOf(shape, token),
    body: JSON.stringify({ question: QUESTION, chatflow_id: FLOWS[pace].flowise }),
    good: streamed ? '"event":"end"' : '"request_id"',
  };
}

/** The three-call flow hands on what it is asked. */
export const viaThreeCalls = (origin: string, shape: Shape, token: string): Call => ({
  ...upstreamCall(origin, 'flowise', { shape }),
  headers: headersOf(shape, token),
});

/** Portkey is told with each request whom to ask. */
export const viaPortkey = (origin: string, upstream: string, shape: Shape): Call => ({
  ...completionCall(origin, { shape }),
  headers: {
    ...headersOf(shape, 'nobody'),
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `${upstream}/v1`,
  },
});

/** In turns over the payers; the requests are made before anything is measured. */
export function inTurns<T>(items: readonly T[]): () => T {
  let at = 0;
  return () => {
    const item = items[at % items.length];
    at += 1;
    if (item === undefined) throw new Error('there is nothing to ask');
    return item;
  };
}

export const callsOf = (payers: readonly Payer[], make: (token: string) => Call): (() => Call) =>
  inTurns(payers.map(({ token }) => make(token)));
