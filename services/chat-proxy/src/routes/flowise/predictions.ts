import { chat } from '@tollgate/contracts';
import { reply, type RequestContext, type Route, serve, stream, toAppError } from '@tollgate/http-kit';
import type { z } from 'zod';
import type { FlowInput } from '../../domain/flow-input.ts';
import type { ChatflowId } from '../../domain/wire-types.ts';
import type { Ask } from '../../flows/answers/prepare-ask.ts';
import type { OpenChat, OpenedChat } from '../../flows/flowise/open-chat.ts';
import { answerHeaders, forWhole, streamAnswer } from '../answer-stream.ts';
import type { ChatFlows } from '../chat.ts';
import { keepRunningIn } from '../keep-running.ts';
import { type FramedChat, flowiseFraming } from './framing.ts';
import { wholeFlowiseAnswer } from './whole-answer.ts';

type Body = z.output<typeof chat.FlowisePrediction>;

export interface FlowisePredictionFlows extends Pick<ChatFlows, 'chat' | 'stream'> {
  readonly openChat: OpenChat;
}

/** What a chat window tells its user by itself, from the text of a refusal. Of others it shows nothing. */
const SHOWN_BY_WINDOWS: readonly number[] = [401, 403, 429];

/** A prediction as at a Flowise server. */
export const flowisePredictionRoutes = (flows: FlowisePredictionFlows): Route[] => [
  serve(chat.flowisePredict).with(async ({ params, body }, caller, context) => {
    const opened = await flows.openChat(caller, params.id, {
      chatId: body.chatId,
      sessionId: labelIn(body.overrideConfig) ?? body.sessionId,
      idempotencyKey: context.idempotencyKey,
    });
    const framed = framedChat(opened, body, context);
    const answer = flows.chat(caller, askOf(params.id, body, { opened, context }), context.signal);
    if (body.streaming === true || body.streaming === 'true') return streamed(flows, answer, framed);
    const whole = await wholeFlowiseAnswer(framed, forWhole(answer, context.signal));
    return reply(200, whole, { headers: answerHeaders(whole.usage) });
  }),
];

/**
 * A refusal before the first byte keeps its status, but for chat windows: those throw such an answer away without a word to
 * their user, who is to learn why. Flowise itself answers so.
 */
async function streamed(
  { stream: settings }: FlowisePredictionFlows,
  answer: ReturnType<ChatFlows['chat']>,
  framed: FramedChat,
) {
  const framing = flowiseFraming(framed);
  try {
    return await streamAnswer(answer, framing, settings);
  } catch (thrown) {
    const error = toAppError(thrown);
    if (!framed.isWindow || SHOWN_BY_WINDOWS.includes(error.status)) throw error;
    if (error.status >= 500) settings.failed(error);
    return stream(framing.contentType, once(framing.failure(error, 1)), { headers: error.headers });
  }
}

async function* once(text: string): AsyncGenerator<string, void, undefined> {
  yield text;
}

function framedChat({ chatId, label }: OpenedChat, body: Body, { headers }: RequestContext): FramedChat {
  return {
    chatId,
    sessionId: label,
    question: questionOf(body),
    // Programs take anything; only a browser's reader of event streams asks for one.
    isWindow: headers['accept']?.includes('text/event-stream') ?? false,
  };
}

function askOf(
  chatflowId: ChatflowId,
  body: Body,
  { opened, context }: { opened: OpenedChat; context: RequestContext },
): Ask {
  const { sessionId: _, ...overrides } = body.overrideConfig ?? {};
  const flowInput = flowInputOf(body);
  return {
    origin: context.headers['origin'],
    clientHeaders: context.headers,
    question: questionOf(body),
    chatflowId,
    sessionId: opened.sessionId,
    opensSession: opened.isNew,
    sessionAlias: opened.alias,
    history: (body.history ?? []).map(({ role, content }) => ({
      role: role === 'user' || role === 'userMessage' ? 'user' : 'assistant',
      content,
    })),
    uploads: body.uploads ?? [],
    overrides,
    stores: true,
    ...(flowInput && { flowInput }),
    idempotencyKey: context.idempotencyKey,
    keepRunningSeconds: keepRunningIn(context),
  };
}

/** A form in words, as chat windows show it. */
const questionOf = ({ question, form }: Body): string =>
  question ||
  Object.entries(form ?? {})
    .map(([name, value]) => `${name}: ${String(value)}`)
    .join('\n');

function flowInputOf({ form, humanInput, action, leadEmail }: Body): FlowInput | undefined {
  const given = Object.entries({ form, humanInput, action, leadEmail }).filter(
    ([, value]) => value !== null && value !== undefined && value !== '',
  );
  return given.length > 0 ? (Object.fromEntries(given) as FlowInput) : undefined; // as checked by the contract
}

/** Flowise keys its memory by this; here it names the conversation, and never reaches the upstream. */
function labelIn(overrideConfig: Body['overrideConfig']): string | undefined {
  const named = chat.ChatLabel.safeParse(overrideConfig?.['sessionId']);
  return named.success ? named.data : undefined;
}
