import type { Sessions } from '../../ports.ts';
import type { OpenChat } from './open-chat.ts';

export interface FindChatDeps {
  readonly openChat: OpenChat;
  readonly sessions: Pick<Sessions, 'idOf'>;
}

/**
 * The conversation in which a client has asked before. Pages give their window a chat id, and a session id that comes before it,
 * with every question, but name only the chat id when they stop, rate, read or delete.
 */
export const createFindChat = ({ openChat, sessions }: FindChatDeps): OpenChat =>
  async function findChat(owner, chatflowId, names) {
    const opened = await openChat(owner, chatflowId, names);
    if (names.sessionId) return opened;
    return { ...opened, sessionId: (await sessions.idOf(owner, chatflowId, opened.sessionId)) ?? opened.sessionId };
  };
