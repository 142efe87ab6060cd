import { AppError } from '@tollgate/http-kit';
import { isFlow, originAllowed } from '../../domain/chatflow.ts';
import { Reply } from '../../domain/reply.ts';
import type { ChatflowId, HoldId } from '../../domain/wire-types.ts';
import type { Asker, Chatflows, Feedbacks, FlowiseSide, Sessions, SpeechEvent } from '../../ports.ts';
import type { Strikes } from '../answers/count-strikes.ts';
import type { Holds } from '../answers/hold-credits.ts';
import type { OpenHold } from '../answers/open-hold.ts';
import type { AnswerLimits } from '../limits/limit-answers.ts';
import type { OpenChat } from './open-chat.ts';

export interface SpeakDeps {
  readonly openChat: OpenChat;
  readonly chatflows: Pick<Chatflows, 'findFor'>;
  readonly sessions: Pick<Sessions, 'findAny'>;
  readonly answers: Pick<Feedbacks, 'findAnswer'>;
  readonly side: Pick<FlowiseSide, 'textToSpeech'>;
  readonly holds: Pick<Holds, 'open' | 'close'>;
  readonly strikes: Pick<Strikes, 'refuse'>;
  readonly limits: Pick<AnswerLimits, 'enter'>;
  readonly newRequestId: () => HoldId;
  /** Aborts when the process must stop answering. */
  readonly stopping: AbortSignal;
  readonly finished: (answer: { hold: OpenHold; error: unknown }) => void;
}

export interface SpeechOrder {
  readonly chatflowId: ChatflowId;
  readonly chatId: string;
  readonly requestId: HoldId;
  readonly text: string;
  readonly origin: string | undefined;
}

/**
 * Reads an own answer aloud. It costs what an answer of this text costs at this chatflow: the flat price of a message, or the
 * tokens of the text. Held before the first sound and charged once there was one, as with every answer.
 */
export const createSpeak = (deps: SpeakDeps) =>
  async function* speak(caller: Asker, order: SpeechOrder, left: AbortSignal): AsyncGenerator<SpeechEvent, void> {
    deps.strikes.refuse(caller.userId);
    const { chatflow, message } = await findSpoken(deps, caller, order);
    const reply = new Reply({ promptBytes: 0, keeps: false });
    const holdId = deps.newRequestId();
    const wantedOutput = Buffer.byteLength(order.text);
    const seat = await deps.limits.enter(caller, chatflow, holdId);
    let hold: OpenHold | undefined;
    let failure: unknown;
    try {
      hold = await deps.holds.open(caller, { holdId, chatflow, reply, wantedOutput, stop: new AbortController() });
      await seat.granted;
      const over = AbortSignal.any([left, deps.stopping, hold.stop.signal]);
      for await (const event of deps.side.textToSpeech(chatflow, message, over)) {
        if (event.event === 'tts_data' && !reply.hasBegun) reply.add({ kind: 'text', text: order.text });
        yield event;
      }
      reply.status = 'completed';
    } catch (error) {
      failure = error;
      reply.status = left.aborted ? 'aborted' : 'failed';
      throw error;
    } finally {
      seat.leave();
      await deps.holds.close(hold); // never throws
      if (hold) deps.finished({ hold, error: failure });
    }
  };

/** The answer as its upstream knows it. */
async function findSpoken(
  deps: SpeakDeps,
  caller: Asker,
  { chatflowId, chatId, requestId, text, origin }: SpeechOrder,
) {
  const chatflow = await deps.chatflows.findFor(caller, chatflowId);
  if (!chatflow) throw new AppError('CHATFLOW_ACCESS_DENIED');
  if (!originAllowed(chatflow, origin)) throw new AppError('ORIGIN_NOT_ALLOWED');
  if (!isFlow(chatflow)) throw new AppError('VALIDATION_FAILED', 'This chatflow does not speak');
  const { sessionId } = await deps.openChat(caller, chatflowId, { chatId });
  const [session, answer] = await Promise.all([
    deps.sessions.findAny(caller, sessionId),
    deps.answers.findAnswer(sessionId, requestId),
  ]);
  const slot = session?.upstreamChatIds.at(-1);
  if (slot === undefined || !answer) throw new AppError('NOT_FOUND', 'Message not found');
  return { chatflow, message: { chatId: slot, messageId: answer.upstreamMessageId ?? requestId, text } };
}

export type Speak = ReturnType<typeof createSpeak>;
