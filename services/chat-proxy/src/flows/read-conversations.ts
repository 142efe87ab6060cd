import { AppError } from '@tollgate/http-kit';
import type { SessionId, UserId } from '../domain/wire-types.ts';
import type { Messages, Page, Session, Sessions, StoredMessage } from '../ports.ts';

export interface ReadConversationsDeps {
  readonly sessions: Pick<Sessions, 'list' | 'find'>;
  readonly messages: Pick<Messages, 'page'>;
}

export interface History {
  readonly messages: StoredMessage[];
  readonly nextCursor: string | null;
}

/** A user's own conversations; somebody else's do not exist. */
export const createReadConversations = ({ sessions, messages }: ReadConversationsDeps) => ({
  list: (userId: UserId, page: Page): Promise<{ sessions: Session[]; nextCursor: string | null }> =>
    sessions.list(userId, page),

  async history(userId: UserId, id: SessionId, page: Page): Promise<History> {
    const session = await sessions.find(userId, id);
    if (!session) throw new AppError('NOT_FOUND', 'Chat session not found or access denied');
    return messages.page(id, page);
  },
});
