import type { UserId } from '../../domain/wire-types.ts';
import type { Chatflows, Clock, Erasures } from '../../ports.ts';
import type { Erased } from './erase-conversations.ts';

const NOTED_AT_ONCE = 500;

export interface EraseAccountsDeps {
  readonly erasures: Erasures;
  readonly chatflows: Pick<Chatflows, 'forgetUser'>;
  readonly ofUser: (userId: UserId) => Promise<Erased>;
  readonly clock: Clock;
  /** Milliseconds between the deletion of an account and that of its conversations. */
  readonly afterMs: number;
}

/** Accounts that auth has deleted take their conversations and their name in assignments with them. */
export function createEraseAccounts({ erasures, chatflows, ofUser, clock, afterMs }: EraseAccountsDeps) {
  const heard = new Set<UserId>();

  async function noteDown(): Promise<void> {
    const at = new Date(clock.now() + afterMs);
    while (heard.size > 0) {
      const some = [...heard].slice(0, NOTED_AT_ONCE);
      await erasures.add(some, at);
      for (const userId of some) heard.delete(userId);
    }
  }

  return {
    /** Told by auth's feed for an hour, to every instance: what is lost with one of them is written down by another one. */
    told(userIds: readonly UserId[]): void {
      for (const userId of userIds) heard.add(userId);
    },

    /** One turn of the background task. True when there may be more to do. */
    async eraseNext(): Promise<boolean> {
      await noteDown();
      const userId = await erasures.due(new Date(clock.now()));
      if (userId === undefined) return false;
      await ofUser(userId);
      await chatflows.forgetUser(userId);
      await erasures.remove(userId);
      return true;
    },
  };
}
