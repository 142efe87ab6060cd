import { sessionIdOfLabel } from '../../domain/session-name.ts';
import type { ChatflowId, SessionId } from '../../domain/wire-types.ts';
import type { NameKey, Owner } from '../../ports.ts';

export interface OpenChatDeps {
  readonly nameKey: NameKey;
  readonly defaultWorkspaceId: string;
  /** A repetition of a request with a key gets the same name. */
  readonly newLabel: (idempotencyKey: string | undefined) => string;
}

/** What a client calls a conversation; both may be missing. */
export interface ChatNames {
  readonly chatId?: string | null | undefined;
  /** What Flowise keys its memory by, and what names the conversation when it is given: flowise-wire.md, Session precedence. */
  readonly sessionId?: string | null | undefined;
  readonly idempotencyKey?: string | undefined;
}

export interface OpenedChat {
  /** To be told to the client, which comes back with them. */
  readonly chatId: string;
  readonly label: string;
  readonly sessionId: SessionId;
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
    const label = names.sessionId || names.chatId || newLabel(names.idempotencyKey);
    const { userId, workspaceId = defaultWorkspaceId } = owner;
    const sessionId = sessionIdOfLabel(await key(), { userId, workspaceId, chatflowId, label });
    return { chatId: names.chatId || label, label, sessionId };
  };
}

export type OpenChat = ReturnType<typeof createOpenChat>;
