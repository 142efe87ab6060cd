import { AppError } from '@tollgate/http-kit';
import type { SessionId } from '../../domain/wire-types.ts';
import type { Messages, OneSession, Owner, Session, Sessions, StoredMessage } from '../../ports.ts';

const MESSAGES_AT_ONCE = 20;
const SESSIONS_AT_ONCE = 100;

export interface ExportDeps {
  readonly sessions: Pick<Sessions, 'find' | 'list'>;
  readonly messages: Pick<Messages, 'pageOn'>;
}

/** A conversation whose messages are read while they are written out, so that a long one costs no memory. */
export interface ExportedConversation {
  readonly session: Session;
  readonly messages: AsyncGenerator<StoredMessage, void, undefined>;
}

export const createExportConversations = ({ sessions, messages }: ExportDeps) => ({
  async one(owner: Owner, id: SessionId): Promise<ExportedConversation> {
    const session = await sessions.find(owner, id);
    if (!session) throw new AppError('NOT_FOUND', 'Chat session not found or access denied');
    return { session, messages: messagesOf(messages, session) };
  },

  async *all(owner: Owner): AsyncGenerator<ExportedConversation, void, undefined> {
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await sessions.list(owner, { limit: SESSIONS_AT_ONCE, cursor });
      for (const session of page.sessions) yield { session, messages: messagesOf(messages, session) };
      cursor = page.nextCursor;
    }
  },
});

async function* messagesOf(
  messages: ExportDeps['messages'],
  session: OneSession,
): AsyncGenerator<StoredMessage, void, undefined> {
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await messages.pageOn(session, { limit: MESSAGES_AT_ONCE, cursor });
    yield* page.messages;
    cursor = page.nextCursor;
  }
}
