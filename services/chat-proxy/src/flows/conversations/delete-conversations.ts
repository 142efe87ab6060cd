import { AppError } from '@tollgate/http-kit';
import type { SessionId } from '../../domain/wire-types.ts';
import type { Clock, Files, Forgetting, Messages, Owner, Session, Sessions } from '../../ports.ts';

const DELETED_AT_ONCE = 200;

export interface DeleteConversationsDeps {
  readonly sessions: Pick<Sessions, 'delete' | 'deleteSome'>;
  readonly messages: Pick<Messages, 'deleteOf'>;
  readonly files: Pick<Files, 'removeOf'>;
  readonly forgetting: Pick<Forgetting, 'add'>;
  readonly clock: Clock;
}

/** Deletes conversations here at once, and at their upstream by a note that is worked off later. */
export const createDeleteConversations = (deps: DeleteConversationsDeps) => ({
  async one(owner: Owner, id: SessionId): Promise<number> {
    const session = await deps.sessions.delete(owner, id);
    if (!session) throw new AppError('NOT_FOUND', 'Chat session not found or access denied');
    return forget(deps, owner, [session]);
  },

  async all(owner: Owner): Promise<{ sessions: number; messages: number }> {
    const deleted = { sessions: 0, messages: 0 };
    for (;;) {
      const some = await deps.sessions.deleteSome(owner, DELETED_AT_ONCE);
      if (some.length === 0) return deleted;
      deleted.sessions += some.length;
      deleted.messages += await forget(deps, owner, some);
    }
  },
});

async function forget(deps: DeleteConversationsDeps, owner: Owner, sessions: readonly Session[]): Promise<number> {
  const ids = sessions.map(({ id }) => id);
  const chats = sessions
    .filter(({ chatflowId }) => !chatflowId.startsWith('model:'))
    .flatMap(({ chatflowId, upstreamChatIds }) => upstreamChatIds.map((chatId) => ({ chatflowId, chatId })));
  if (chats.length > 0) await deps.forgetting.add(chats, new Date(deps.clock.now()));
  await deps.files.removeOf(owner, ids, new Date(deps.clock.now()));
  return deps.messages.deleteOf(ids);
}
