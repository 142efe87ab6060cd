import { AppError } from '@tollgate/http-kit';
import type { SessionId } from '../../domain/wire-types.ts';
import type { Files, Messages, Owner, Session, Sessions } from '../../ports.ts';
import { type MessagesWithFiles, withFiles } from './with-files.ts';

/** An answer may be 4 MB long. */
const MESSAGES_AT_ONCE = 20;
const SESSIONS_AT_ONCE = 100;

export interface ExportDeps {
  readonly sessions: Pick<Sessions, 'find' | 'list'>;
  readonly messages: Pick<Messages, 'pageOn'>;
  readonly files: Pick<Files, 'listOf'>;
}

/** A conversation whose messages are read while they are written out, so that a long one costs no memory. */
export interface ExportedConversation {
  readonly session: Session;
  readonly pages: AsyncGenerator<MessagesWithFiles, void, undefined>;
}

export const createExportConversations = (deps: ExportDeps) => ({
  async one(owner: Owner, id: SessionId): Promise<ExportedConversation> {
    const session = await deps.sessions.find(owner, id);
    if (!session) throw new AppError('NOT_FOUND', 'Chat session not found or access denied');
    return { session, pages: pagesOf(deps, owner, session) };
  },

  async *all(owner: Owner): AsyncGenerator<ExportedConversation, void, undefined> {
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await deps.sessions.list(owner, { limit: SESSIONS_AT_ONCE, cursor });
      for (const session of page.sessions) yield { session, pages: pagesOf(deps, owner, session) };
      cursor = page.nextCursor;
    }
  },
});

async function* pagesOf(
  { messages, files }: ExportDeps,
  owner: Owner,
  session: Session,
): AsyncGenerator<MessagesWithFiles, void, undefined> {
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await messages.pageOn(session, { limit: MESSAGES_AT_ONCE, cursor });
    yield await withFiles(files, owner, page.messages);
    cursor = page.nextCursor;
  }
}
