import { sessionIdOfLabel } from '../../domain/session-name.ts';
import type { ChatflowId, SessionId } from '../../domain/wire-types.ts';
import type { NameKey, Owner } from '../../ports.ts';

export interface OpenChatDeps {
  readonly nameKey: NameKey;
  readonly defaultWorkspaceId: string;
  readonly newLabel: () => string;
}

/** What a client calls a conversation; both may be missing. */
export interface ChatNames {
  readonly chatId?: string | null | undefined;
  /** What Flowise keys its memory by, and what names the conversation when it is given: flowise-wire.md, Session precedence. */
  readonly sessionId?: string | null | undefined;
  /** A repeat of a request that names no conversation means the one that the first has opened. */
  readonly idempotencyKey?: string | undefined;
}

export interface OpenedChat {
  /** To be told to the client, which comes back with them. */
  readonly chatId: string;
  readonly label: string;
  readonly sessionId: SessionId;
  /** Named here, and by nobody before. */
  readonly isNew: boolean;
  /** What the chat id alone would stand for, when something else names the conversation: windows stop and rate by that. */
  readonly alias?: SessionId;
}

/** The conversation that a client names in its own words, or a new one under a name that the client will be told. */
export function createOpenChat({ nameKey, defaultWorkspaceId, newLabel }: OpenChatDeps) {
  // The same for ever, so that only the first request of a process waits for it.
  let known: Promise<Uint8Array> | undefined;
  const key = () => {
    known ??= nameKey.read().catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    return known;
  };

  return async function openChat(owner: Owner, chatflowId: ChatflowId, names: ChatNames): Promise<OpenedChat> {
    const { userId, workspaceId = defaultWorkspaceId } = owner;
    const secret = await key();
    const idOf = (text: string) => sessionIdOfLabel(secret, { userId, workspaceId, chatflowId, label: text });
    const unnamed = () => (names.idempotencyKey === undefined ? newLabel() : idOf(`key ${names.idempotencyKey}`));
    const label = names.sessionId || names.chatId || unnamed();
    const sessionId = idOf(label);
    const chatId = names.chatId || label;
    const isNew = !names.sessionId && !names.chatId && names.idempotencyKey === undefined;
    return { chatId, label, sessionId, isNew, ...(chatId !== label && { alias: idOf(chatId) }) };
  };
}

export type OpenChat = ReturnType<typeof createOpenChat>;
