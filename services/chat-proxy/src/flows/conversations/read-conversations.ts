import { AppError } from '@tollgate/http-kit';
import type { FileId, SessionId } from '../../domain/wire-types.ts';
import type { Files, Messages, Owner, Page, Session, Sessions, StoredFile, StoredMessage } from '../../ports.ts';

export interface ReadConversationsDeps {
  readonly sessions: Pick<Sessions, 'list' | 'find'>;
  readonly messages: Pick<Messages, 'page'>;
  readonly files: Pick<Files, 'listOf'>;
}

export interface History {
  readonly messages: StoredMessage[];
  /** Those of the messages that are still there. */
  readonly files: ReadonlyMap<FileId, StoredFile>;
  readonly nextCursor: string | null;
}

/** A user's own conversations in one workspace; somebody else's, and those of other workspaces, do not exist. */
export const createReadConversations = ({ sessions, messages, files }: ReadConversationsDeps) => ({
  list: (owner: Owner, page: Page): Promise<{ sessions: Session[]; nextCursor: string | null }> =>
    sessions.list(owner, page),

  async history(owner: Owner, id: SessionId, page: Page): Promise<History> {
    const session = await sessions.find(owner, id);
    if (!session) throw new AppError('NOT_FOUND', 'Chat session not found or access denied');
    const read = await messages.page(session, page);
    const fileIds = read.messages.flatMap((message) => message.fileIds);
    const found = fileIds.length > 0 ? await files.listOf(owner, fileIds) : [];
    return { ...read, files: new Map(found.map((file) => [file.id, file])) };
  },
});
