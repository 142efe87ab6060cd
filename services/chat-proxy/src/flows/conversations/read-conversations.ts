import { AppError } from '@tollgate/http-kit';
import type { SessionId } from '../../domain/wire-types.ts';
import type { Messages, Owner, Page, Session, Sessions, StoredMessage } from '../../ports.ts';

export interface ReadConversationsDeps {
  readonly sessions: Pick<Sessions, 'list' | 'find'>;
  readonly messages: Pick<Messages, 'page'>;
}

export interface History {
  readonly messages: StoredMessage[];
  readonly nextCursor: string | null;
}

/** A user's own conversations in one workspace; somebody else's, and those of other workspaces, do not exist. */
export const createReadConversations = ({ sessions, messages }: ReadConversationsDeps) => ({
  list: (owner: Owner, page: Page): Promise<{ sessions: Session[]; nextCursor: string | null }> =>
    sessions.list(owner, page),

  async history(owner: Owner, id: SessionId, page: Page): Promise<History> {
    const session = await sessions.find(owner, id);
    if (!session) throw new AppError('NOT_FOUND', 'Chat session not found or access denied');
    return messages.page(session, page);
  },
});
