import type { ChatflowId } from '../../domain/wire-types.ts';
import type { Clock, Forgetting } from '../../ports.ts';

const TAKEN_AT_ONCE = 20;
const FIRST_RETRY_MS = 60_000;
const LONGEST_RETRY_MS = 3_600_000;
/** With the growing pauses: more than a day. */
const MOST_ATTEMPTS = 30;

export interface ForgetUpstreamDeps {
  readonly forgetting: Pick<Forgetting, 'take' | 'remove'>;
  readonly flowise: { forget(chatflowId: ChatflowId, chatId: string): Promise<void> };
  readonly clock: Clock;
}

/** One turn of the background task: deletes conversations at Flowise that were deleted here (T-F13). */
export const createForgetUpstream = ({ forgetting, flowise, clock }: ForgetUpstreamDeps) =>
  async function forgetUpstream(): Promise<void> {
    for (let taken = 0; taken < TAKEN_AT_ONCE; taken += 1) {
      const chat = await forgetting.take(new Date(clock.now()), {
        firstMs: FIRST_RETRY_MS,
        longestMs: LONGEST_RETRY_MS,
      });
      if (!chat) return;
      if (chat.attempts < MOST_ATTEMPTS) await flowise.forget(chat.chatflowId, chat.chatId);
      await forgetting.remove(chat.id);
    }
  };
