import { chat } from '@tollgate/contracts';
import { AppError, reply, type Route, type RequestContext, serve, type UserCaller } from '@tollgate/http-kit';
import type { Answer, AnswerEvent } from '../domain/answer.ts';
import type { ChatflowId, Credits } from '../domain/wire-types.ts';
import type { Ask } from '../flows/answers/prepare-ask.ts';
import type { Asker } from '../ports.ts';
import { answerHeaders, forWhole, streamAnswer, type StreamSettings } from './answer-stream.ts';
import { framingFor } from './framing.ts';
import { keepRunningIn } from './keep-running.ts';

export interface ChatFlows {
  readonly chat: (caller: Asker, ask: Ask, signal: AbortSignal) => Answer;
  readonly balance: (caller: Asker) => Promise<Credits>;
  readonly stream: StreamSettings;
}

export type ChatBody = {
  question: string;
  chatflow_id: ChatflowId;
  sessionId?: string | null | undefined;
  history?: readonly { role: string; content: string }[] | null | undefined;
  uploads?: Ask['uploads'] | null | undefined;
  overrideConfig?: Readonly<Record<string, unknown>> | null | undefined;
};

/** The same conversation, in one piece or as events. */
export const chatRoutes = ({ chat: answer, balance, stream }: ChatFlows): Route[] => {
  const streamed = (stores: boolean) => (input: { body: ChatBody }, caller: UserCaller, context: RequestContext) =>
    streamAnswer(
      answer(caller, askOf(input.body, stores, context), context.signal),
      framingFor(context.headers.accept),
      stream,
    );

  return [
    serve(chat.predict).with(async ({ body }, caller, context) => {
      const events = answer(caller, askOf(body, false, context), context.signal);
      const { text, sessionId, usage } = await wholeAnswer(forWhole(events, context.signal));
      const { credits, remaining_credits, request_id } = usage;
      const whole = {
        response: text,
        metadata: {
          chatflow_id: body.chatflow_id,
          cost: credits,
          remaining_credits,
          session_id: sessionId,
          user: caller.username,
          usage,
          request_id,
          streaming: false as const,
        },
      };
      return reply(200, whole, { headers: answerHeaders(usage) });
    }),
    serve(chat.predictStream).with(streamed(false)),
    serve(chat.predictStreamStore).with(streamed(true)),
    serve(chat.readOwnCredits).with(async (_, caller) => {
      const credits = await balance(caller);
      return { credits, totalCredits: credits };
    }),
  ];
};

const askOf = (body: ChatBody, stores: boolean, context: RequestContext): Ask => ({
  ...askIn(body, stores),
  origin: context.headers['origin'],
  clientHeaders: context.headers,
  idempotencyKey: context.idempotencyKey,
  keepRunningSeconds: keepRunningIn(context),
});

/** What the body asks for, whichever way it came. */
export const askIn = (
  { question, chatflow_id, sessionId, history, uploads, overrideConfig }: ChatBody,
  stores: boolean,
): Ask => ({
  question,
  chatflowId: chatflow_id,
  sessionId,
  history: (history ?? []).map(({ role, content }) => ({
    role: role === 'user' || role === 'userMessage' ? 'user' : 'assistant',
    content,
  })),
  uploads: uploads ?? [],
  overrides: overrideConfig ?? {},
  stores,
});

/** Longer answers are for the streaming routes. */
const LONGEST_ANSWER = 4_000_000;

async function wholeAnswer(answer: Answer) {
  const texts: string[] = [];
  let characters = 0;
  let sessionId: unknown;
  let usage: unknown;
  const add = ({ event, data }: AnswerEvent): void => {
    if (event === 'session_id') sessionId = data;
    else if (event === 'usage') usage = data;
    if (event !== 'token') return;
    texts.push(String(data));
    characters += String(data).length;
    if (characters > LONGEST_ANSWER)
      throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'the answer is too long for one piece');
  };
  for await (const events of answer) for (const event of events) add(event);
  return {
    text: texts.join(''),
    sessionId: sessionId as never, // the flow's first event; the contract checks it once more
    usage: chat.AnswerUsage.parse(usage),
  };
}
