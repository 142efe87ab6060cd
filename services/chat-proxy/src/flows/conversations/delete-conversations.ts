import { AppError } from '@tollgate/http-kit';
import type { SessionId, UserId } from '../../domain/wire-types.ts';
import type { Clock, KeptAnswers, Owner, Session, SessionFiles, Sessions } from '../../ports.ts';
import { type EraseDeps, erase, type Erased } from './erase-conversations.ts';

const DELETED_AT_ONCE = 50;
/** Far more than anybody can have opened; whoever goes on opening them meanwhile asks again. */
const MOST_TURNS = 2000;

export interface DeleteConversationsDeps extends EraseDeps {
  readonly sessions: Pick<Sessions, 'findAny' | 'some' | 'someOfUser' | 'delete'>;
  readonly files: SessionFiles;
  readonly keptAnswers: KeptAnswers;
  readonly clock: Clock;
}

/** Deletes conversations here at once, and at their upstream by notes that are worked off later. */
export function createDeleteConversations(deps: DeleteConversationsDeps) {
  const now = () => deps.clock.now();

  async function eraseAll(next: () => Promise<Session[]>): Promise<Erased> {
    const all = { sessions: 0, messages: 0 };
    for (let turn = 0; turn < MOST_TURNS; turn += 1) {
      const some = await next();
      if (some.length === 0) break;
      const { sessions, messages } = await erase(deps, some, { now: now() });
      all.sessions += sessions;
      all.messages += messages;
    }
    return all;
  }

  return {
    async one(owner: Owner, id: SessionId): Promise<number> {
      const session = await deps.sessions.findAny(owner, id);
      const { sessions, messages } = await erase(deps, session ? [session] : [], { now: now() });
      if (sessions === 0) throw new AppError('NOT_FOUND', 'Chat session not found or access denied');
      return messages;
    },

    all: (owner: Owner): Promise<Erased> => eraseAll(() => deps.sessions.some(owner, DELETED_AT_ONCE)),

    /** In every workspace, with files and answers that never came into a conversation. */
    async ofUser(userId: UserId): Promise<Erased> {
      const erased = await eraseAll(() => deps.sessions.someOfUser(userId, DELETED_AT_ONCE));
      await deps.files.forgetUser(userId, new Date(now()));
      await deps.keptAnswers.forgetUser(userId);
      return erased;
    },
  };
}
