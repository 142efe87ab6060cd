import type { AnswerEvent, MessageStatus } from '../domain/answer.ts';
import type { ChatflowId, Credits, FileId, HoldId, SessionId, UserId } from '../domain/wire-types.ts';
import type { Owner } from './asker.ts';

export interface Session {
  readonly id: SessionId;
  readonly userId: UserId;
  readonly chatflowId: ChatflowId;
  readonly topic: string;
  readonly firstMessage: string;
  readonly createdAt: Date;
  /** Slots at the upstream this conversation has used; the last one is the present one. */
  readonly upstreamChatIds: readonly string[];
  readonly upstreamMemoryId: string;
  readonly messageCount: number;
}

export interface SessionClaim {
  readonly id: SessionId;
  readonly owner: Owner;
  readonly chatflowId: ChatflowId;
  readonly lease: { readonly id: HoldId; readonly until: Date };
  readonly now: Date;
}

export interface SessionRelease {
  readonly id: SessionId;
  readonly leaseId: HoldId;
  /** The session was opened for an answer that never began. */
  readonly discard: boolean;
  /** The upstream may still write to the slot that was used, so that the next answer needs another. */
  readonly freshChatId?: string;
  /** Present when messages are stored. */
  readonly stored?: {
    readonly topic: string;
    readonly firstMessage: string;
    readonly at: Date;
    readonly messages: number;
  };
}

export interface Page {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface Sessions {
  /** One atomic step: takes an own session, or opens one, unless it is answering already. */
  claim(claim: SessionClaim): Promise<{ session: Session; isNew: boolean } | 'busy' | 'not-found'>;
  renewLeases(leaseIds: readonly HoldId[], until: Date): Promise<void>;
  /** False when the session has been deleted meanwhile. */
  release(release: SessionRelease): Promise<boolean>;
  find(owner: Owner, id: SessionId): Promise<Session | undefined>;
  /** Sessions with stored messages, the one used last first. */
  list(owner: Owner, page: Page): Promise<{ sessions: Session[]; nextCursor: string | null }>;
  delete(owner: Owner, id: SessionId): Promise<Session | undefined>;
  /** Up to `limit` sessions. */
  deleteSome(owner: Owner, limit: number): Promise<Session[]>;
}

export interface StoredMessage {
  readonly id: string;
  readonly sessionId: SessionId;
  readonly userId: UserId;
  readonly role: 'user' | 'assistant';
  readonly content: string;
  readonly status: MessageStatus;
  readonly createdAt: Date;
  readonly credits: Credits | null;
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number; readonly estimated: boolean } | null;
  readonly requestId: HoldId | null;
  readonly events: readonly AnswerEvent[];
  /** Files that came with a question. */
  readonly fileIds: readonly FileId[];
}

export interface Messages {
  save(messages: readonly StoredMessage[]): Promise<void>;
  /** The newest messages of a session, oldest first. */
  page(sessionId: SessionId, page: Page): Promise<{ messages: StoredMessage[]; nextCursor: string | null }>;
  deleteOf(sessionIds: readonly SessionId[]): Promise<number>;
}

/** Conversations that are still to be deleted at their upstream. */
export interface Forgetting {
  add(chats: readonly { chatflowId: ChatflowId; chatId: string }[], at: Date): Promise<void>;
  /** One that is due; it comes again, later with each attempt, unless it is removed. */
  take(
    now: Date,
    retry: { firstMs: number; longestMs: number },
  ): Promise<{ id: string; chatflowId: ChatflowId; chatId: string; attempts: number } | undefined>;
  remove(id: string): Promise<void>;
}
