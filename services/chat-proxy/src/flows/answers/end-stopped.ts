import { AppError } from '@tollgate/http-kit';
import type { AnswerEvent, MessageStatus } from '../../domain/answer.ts';
import { stoppedEvents } from '../../domain/answer-events.ts';
import type { Holds } from './hold-credits.ts';
import type { OpenHold } from './open-hold.ts';

/** The user's own wish: no failure. */
const isStop = (error: unknown): boolean => error instanceof AppError && error.code === 'ANSWER_STOPPED';

/** How an answer ended that did not come to its own end. */
export const statusAfter = (error: unknown, left: AbortSignal): MessageStatus =>
  left.aborted || isStop(error) ? 'aborted' : 'failed';

/** An answer that its user has stopped ends cleanly, with its price; every other failure is thrown on. */
export async function endStopped(
  error: unknown,
  { hold, opening }: { hold: OpenHold | undefined; opening: readonly AnswerEvent[] },
  holds: Pick<Holds, 'conclude'>,
): Promise<readonly AnswerEvent[]> {
  if (!hold || !isStop(error)) throw error;
  const events = stoppedEvents(hold.grant, await holds.conclude(hold));
  return hold.reply.hasBegun ? events : [...opening, ...events];
}
