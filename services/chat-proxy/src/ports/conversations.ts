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
  readonly lastAt: Date;
  /** Until when an answer is believed to run in it. */
  readonly answersUntil?: Date;
  /** Slots at the upstream this conversation has used; the last one is the present one. */
  readonly upstreamChatIds: readonly string[];
  /** Random, so that it also tells this conversation from a later one with the same id. */
  readonly upstreamMemoryId: string;
  readonly messageCount: number;
}

/** A question whose answer is not stored yet, so that it outlives the process that answers. */
export interface PendingTurn {
  readonly questionId: string;
  readonly answerId: string;
  readonly requestId: HoldId;
  readonly question: string;
  readonly at: Date;
}

/** A conversation whose process has fallen silent in the middle of an answer. */
export interface UnfinishedSession {
  readonly session: Session;
  readonly pending: PendingTurn;
}

export interface SessionClaim {
  readonly id: SessionId;
  readonly owner: Owner;
  readonly chatflowId: ChatflowId;
  /** Another id by which its client looks for it from now on. */
  readonly alias?: SessionId | undefined;
  readonly lease: { readonly id: HoldId; readonly until: Date };
  readonly now: Date;
  /** When a conversation that is opened by this is forgotten, unless messages are stored in it. */
  readonly forgetAt: Date;
  /** Present when both messages are to be stored. */
  readonly pending?: Omit<PendingTurn, 'requestId'>;
  /** How a conversation that is opened by this is called and introduced once they are. */
  readonly beginning?: Beginning;
}

export interface Beginning {
  readonly topic: string;
  readonly firstMessage: string;
}

export interface SessionRelease {
  readonly id: SessionId;
  readonly upstreamMemoryId: string;
  readonly leaseId: HoldId;
  /** The session was opened for an answer that never began. */
  readonly discard: boolean;
  /** The upstream may still write to the slot that was used, so that the next answer needs another. */
  readonly freshChatId?: string;
  /** Present when messages are stored. */
  readonly stored?: {
    readonly at: Date;
    readonly messages: number;
    /** Present when they are its first ones, and it was opened for a question that was not kept. */
    readonly beginning?: Beginning;
  };
  /** It was opened with the beginning of a question that is not kept. */
  readonly dropsBeginning?: boolean;
}

export interface Page {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface Sessions {
  /** A new one, whose ids nobody else knows, taken for its first answer. */
  open(claim: SessionClaim & { readonly upstreamMemoryId: string }): Promise<void>;
  /** One atomic step: takes an own session, or opens one, unless it is answering already. */
  claim(
    claim: SessionClaim,
  ): Promise<{ session: Session; isNew: boolean } | { unfinished: UnfinishedSession } | 'busy' | 'not-found'>;
  /** Up to `limit` of them, of any user. */
  unfinished(now: Date, limit: number): Promise<UnfinishedSession[]>;
  renewLeases(leaseIds: readonly HoldId[], until: Date): Promise<void>;
  /** False when the session has been deleted meanwhile. */
  release(release: SessionRelease): Promise<boolean>;
  /** One with stored messages. */
  find(owner: Owner, id: SessionId): Promise<Session | undefined>;
  findAny(owner: Owner, id: SessionId): Promise<Session | undefined>;
  /** The own conversation that has this id or alias; of two the one used last. */
  idOf(owner: Owner, chatflowId: ChatflowId, idOrAlias: SessionId): Promise<SessionId | undefined>;
  /** Whether this very conversation is there, or another one that has its id. */
  standing(session: OneSession): Promise<'this' | 'another' | 'none'>;
  /** Sessions with stored messages, the one used last first. */
  list(owner: Owner, page: SessionPage): Promise<{ sessions: Session[]; nextCursor: string | null }>;
  rename(owner: Owner, id: SessionId, title: string): Promise<Session | undefined>;
  /** Up to `limit` sessions, with and without stored messages. */
  some(owner: Owner, limit: number): Promise<Session[]>;
  /** Up to `limit` sessions of a user, wherever they are. */
  someOfUser(userId: UserId, limit: number): Promise<Session[]>;
  /** Up to `limit` sessions in which no answer runs and that nobody has used since `before`, or that were to be forgotten. */
  outdated(rule: RetentionRule, now: Date, limit: number): Promise<Session[]>;
  /** This very conversation; undefined when it is not there any more, or an answer has begun in it that must not run. */
  delete(session: Session, unlessAnswering?: { readonly now: Date }): Promise<Session | undefined>;
}

export type SessionPage = Page & { readonly chatflowId?: ChatflowId | undefined };

/** Which conversations are too old. */
export type RetentionRule =
  | { readonly of: 'chatflow'; readonly chatflowId: ChatflowId; readonly before: Date }
  | { readonly of: 'workspace'; readonly workspaceId: string; readonly before: Date }
  /** Conversations without stored messages whose time is over. */
  | { readonly of: 'unstored' };

/** One conversation, and no other that had its id before or after. */
export type OneSession = Pick<Session, 'id' | 'upstreamMemoryId'>;

export type OwnedSession = OneSession & Pick<Session, 'userId'>;

export interface StoredMessage {
  readonly id: string;
  readonly sessionId: SessionId;
  readonly upstreamMemoryId: string;
  readonly userId: UserId;
  readonly role: 'user' | 'assistant';
  readonly content: string;
  readonly status: MessageStatus;
  readonly createdAt: Date;
  readonly credits: Credits | null;
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number; readonly estimated: boolean } | null;
  readonly requestId: HoldId | null;
  readonly events: readonly AnswerEvent[];
  /** What the upstream calls an answer. */
  readonly upstreamMessageId?: string | undefined;
  /** Files that came with a question. */
  readonly fileIds: readonly FileId[];
}

export interface Messages {
  /** Each as it is given last: whoever answered knows better than whoever found the question without an answer. */
  save(messages: readonly StoredMessage[]): Promise<void>;
  /** Those that are not there yet. */
  saveMissing(messages: readonly StoredMessage[]): Promise<void>;
  /** The newest messages of a session, oldest first. */
  page(session: OneSession, page: Page): Promise<{ messages: StoredMessage[]; nextCursor: string | null }>;
  /** From the oldest message on. */
  pageOn(session: OneSession, page: Page): Promise<{ messages: StoredMessage[]; nextCursor: string | null }>;
  /** Which of these sessions have a message with this text in it, in any case of letters. */
  sessionsWith(text: string, sessions: readonly OneSession[]): Promise<ReadonlySet<SessionId> | 'too-much'>;
  deleteOf(sessions: readonly OneSession[]): Promise<number>;
}

/** Files that were uploaded into conversations. */
export interface SessionFiles {
  forgetOf(sessions: readonly OwnedSession[], at: Date): Promise<unknown>;
  forgetUser(userId: UserId, at: Date): Promise<unknown>;
}

/** Answers that were written down to be read again, or for repeats of their request. */
export interface KeptAnswers {
  /** Those of the messages that are stored there. */
  forgetOf(sessions: readonly OneSession[]): Promise<void>;
  forgetUser(userId: UserId): Promise<void>;
}

/** Something of a conversation that is still to be deleted. */
export interface ForgetNote {
  readonly chatflowId: ChatflowId;
  /** Absent: nothing at the upstream. */
  readonly chatId?: string;
  /** Present: its messages, too. */
  readonly session?: OwnedSession;
  readonly at: Date;
}

/** A note that was taken in order to do what it says. */
export type TakenNote = ForgetNote & { readonly id: string; readonly attempts: number };

/** What is still to be deleted of conversations, above all at their upstream. */
export interface Forgetting {
  add(notes: readonly ForgetNote[]): Promise<void>;
  /** One that is due; it comes again, later with each attempt, unless it is removed. */
  take(now: Date, retry: { firstMs: number; longestMs: number }): Promise<TakenNote | undefined>;
  remove(id: string): Promise<void>;
}

/** Users all of whose conversations are to be deleted. */
export interface Erasures {
  add(userIds: readonly UserId[], at: Date): Promise<void>;
  due(now: Date): Promise<UserId | undefined>;
  remove(userId: UserId): Promise<void>;
}

/** Whose turn it is to do what one of several instances does for all. */
export interface Turns {
  /** True for one of all that ask until then. */
  take(task: 'sync' | 'retention', now: Date, until: Date): Promise<boolean>;
}
