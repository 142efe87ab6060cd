import { AppError } from '@tollgate/http-kit';
import type { SessionId } from '../../domain/wire-types.ts';
import type { Files, Messages, Owner, Page, Session, SessionPage, Sessions } from '../../ports.ts';
import { type MessagesWithFiles, withFiles } from './with-files.ts';
import { createSearchConversations, type SearchDeps, type SessionList } from './search-conversations.ts';

export interface ReadConversationsDeps extends SearchDeps {
  readonly sessions: Pick<Sessions, 'list' | 'find' | 'rename'>;
  readonly messages: Pick<Messages, 'page' | 'sessionsWith'>;
  readonly files: Pick<Files, 'listOf'>;
}

export type History = MessagesWithFiles & { readonly nextCursor: string | null };

/** A user's own conversations in one workspace; somebody else's, and those of other workspaces, do not exist. */
export const createReadConversations = ({ sessions, messages, files, clock }: ReadConversationsDeps) => ({
  list: (owner: Owner, page: SessionPage): Promise<SessionList> => sessions.list(owner, page),

  search: createSearchConversations({ sessions, messages, clock }),

  async rename(owner: Owner, id: SessionId, title: string): Promise<Session> {
    const session = await sessions.rename(owner, id, title);
    if (!session) throw new AppError('NOT_FOUND', 'Chat session not found or access denied');
    return session;
  },

  async history(owner: Owner, id: SessionId, page: Page): Promise<History> {
    const session = await sessions.find(owner, id);
    if (!session) throw new AppError('NOT_FOUND', 'Chat session not found or access denied');
    const read = await messages.page(session, page);
    return { ...(await withFiles(files, owner, read.messages)), nextCursor: read.nextCursor };
  },
});
