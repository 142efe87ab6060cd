import { AppError } from '@tollgate/http-kit';
import type { ChatflowId, SessionId } from '../../domain/wire-types.ts';
import type { Owner, StoredMessage } from '../../ports.ts';
import type { createDeleteConversations } from '../conversations/delete-conversations.ts';
import type { createReadConversations } from '../conversations/read-conversations.ts';
import type { ChatNames, OpenChat, OpenedChat } from './open-chat.ts';

const MOST_PAGES = 50;

export interface ReadChatDeps {
  readonly openChat: OpenChat;
  readonly read: ReturnType<typeof createReadConversations>;
  readonly remove: ReturnType<typeof createDeleteConversations>;
}

export interface ChatPage {
  readonly chat: OpenedChat;
  /** Oldest first. */
  readonly messages: readonly StoredMessage[];
}

/** Conversations by the names that clients of Flowise give them. One that does not exist is an empty one there. */
export function createReadChat({ openChat, read, remove }: ReadChatDeps) {
  async function pageOf(owner: Owner, id: SessionId, { limit, page }: { limit: number; page: number }) {
    if (page > MOST_PAGES) throw new AppError('VALIDATION_FAILED', `There are ${MOST_PAGES} pages at most`);
    let cursor: string | undefined;
    for (let at = 1; at < page; at += 1) {
      const { nextCursor } = await read.history(owner, id, { limit, cursor });
      if (nextCursor === null) return [];
      cursor = nextCursor;
    }
    return (await read.history(owner, id, { limit, cursor })).messages;
  }

  return {
    async messages(
      owner: Owner,
      chatflowId: ChatflowId,
      names: ChatNames & { readonly limit: number; readonly page: number },
    ): Promise<ChatPage> {
      const chat = await openChat(owner, chatflowId, names);
      return { chat, messages: await unlessUnknown(pageOf(owner, chat.sessionId, names), []) };
    },

    /** How many messages have gone. */
    async remove(owner: Owner, chatflowId: ChatflowId, names: ChatNames): Promise<number> {
      const { sessionId } = await openChat(owner, chatflowId, names);
      return unlessUnknown(remove.one(owner, sessionId), 0);
    },
  };
}

async function unlessUnknown<T>(found: Promise<T>, nothing: T): Promise<T> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof AppError && error.code === 'NOT_FOUND') return nothing;
    throw error;
  }
}
