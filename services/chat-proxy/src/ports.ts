import type { Access } from './domain/access.ts';
import type { AnswerEvent, MessageStatus, UpstreamPart } from './domain/answer.ts';
import type { Chatflow, UpstreamName } from './domain/chatflow.ts';
import type { Turn } from './domain/conversation.ts';
import type { CheckedUpload } from './domain/file-rules.ts';
import type {
  ChatflowConfig,
  ChatflowId,
  ClosedHold,
  Credits,
  Hold,
  HoldId,
  Outcome,
  Resource,
  SessionId,
  StopReason,
  Units,
  UsageSource,
  UserId,
} from './domain/wire-types.ts';

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
}

/** Whose conversations: those of a user in one workspace. */
export type Owner = Pick<Asker, 'userId' | 'workspaceId'>;

/** The user on whose behalf something is done. */
export interface Asker extends Access {
  readonly username: string;
  /** Where the user works; absent in tokens that name no workspace. */
  readonly workspaceId?: string;
  /** Bearer token. Never log it. */
  readonly token: string;
}

// Upstreams

/** Everything an upstream is told. */
export interface Prompt {
  readonly question: string;
  readonly history: readonly Turn[];
  readonly uploads: readonly CheckedUpload[];
  readonly overrides: Readonly<Record<string, unknown>>;
  /** The conversation as the upstream knows it; none of them is ours or the client's. */
  readonly upstreamChatId: string;
  readonly upstreamMemoryId: string;
}

export interface Upstream {
  /**
   * Yields until the answer is complete. Throws an AppError UPSTREAM_* (or RATE_LIMITED) on failure and the signal's reason
   * when it aborts; leaving the iteration early stops the upstream.
   */
  answer(chatflow: Chatflow, prompt: Prompt, maxOutput: number, signal: AbortSignal): AsyncIterable<UpstreamPart>;
}

/** A chatflow as it was found at its upstream. */
export type FoundChatflow = Readonly<{
  id: ChatflowId;
  upstream: UpstreamName;
  model: string;
  name: string;
  description: string | null;
  category: string | null;
  type: string;
  deployed: boolean;
  isPublic: boolean;
  config: ChatflowConfig | null;
  createdAt: Date | null;
  updatedAt: Date | null;
}>;

export interface Catalogue {
  readonly upstream: UpstreamName;
  list(): Promise<FoundChatflow[]>;
}

// Neighbours

export interface HoldRequest {
  readonly holdId: HoldId;
  readonly resource: Resource;
  readonly units: Units;
  readonly minOutput?: number;
}

/** How a hold ends. `void`: nothing billable happened. */
export type Ending =
  | { readonly kind: 'void'; readonly reason: string }
  | {
      readonly kind: 'settle';
      readonly outcome: Outcome;
      readonly units: Units;
      readonly usageSource: UsageSource;
      readonly rawUsage?: unknown;
    };

export interface Renewal {
  readonly holdId: HoldId;
  readonly fence: number;
  readonly checkpoint?: Units;
}

/** `stopped`: the hold is still ours to settle, but its user, workspace or key may not spend any more. */
export interface LostHold {
  readonly holdId: HoldId;
  readonly outcome: 'closed' | 'fenced' | 'unknown' | 'stopped';
  readonly reason?: StopReason | undefined;
}

export interface Accounting {
  hold(asker: Asker, request: HoldRequest): Promise<Hold>;
  /** Whether a `hold` that failed with this error may have reserved something all the same. */
  mayHaveHeld(error: unknown): boolean;
  /** With `minOutput` a balance that does not pay for all of the units raises the hold to what it buys. */
  extend(userId: UserId, hold: Hold, more: { units: Units; minOutput?: number }): Promise<Hold>;
  /** The hold as it is now. NOT_FOUND when accounting has never heard of it. */
  read(holdId: HoldId, userId: UserId): Promise<Hold | ClosedHold>;
  /** The holds whose answers must not go on. */
  renew(renewals: readonly Renewal[]): Promise<LostHold[]>;
  /**
   * Idempotent. NOT_FOUND when there is nobody to charge; ACCOUNTING_UNAVAILABLE when it may go through later; anything else
   * is a refusal of this very ending.
   */
  end(holdId: HoldId, userId: UserId, ending: Ending): Promise<ClosedHold>;
  balance(asker: Asker): Promise<Credits>;
}

export interface AuthUser {
  readonly id: UserId;
  readonly username: string;
  readonly email: string;
  readonly isVerified: boolean;
  readonly role: 'enduser' | 'supervisor' | 'admin';
}

export interface Auth {
  logIn(username: string, password: string): Promise<{ accessToken: string; refreshToken: string; user: AuthUser }>;
  refresh(refreshToken: string): Promise<{ accessToken: string; refreshToken: string }>;
  logOutAll(token: string): Promise<void>;
  readProfile(token: string): Promise<AuthUser>;
  /** With an administrator's token. Undefined when there is no such user. */
  findByEmail(token: string, email: string): Promise<AuthUser | undefined>;
}

// Stores

export interface Assignment {
  readonly userId: UserId;
  readonly username: string;
  readonly email: string;
  readonly assignedAt: Date;
}

export interface Chatflows {
  /** An active chatflow that is public or assigned to the user. */
  findFor(userId: UserId, id: ChatflowId): Promise<Chatflow | undefined>;
  listFor(userId: UserId): Promise<Chatflow[]>;
  assignedTo(userId: UserId): Promise<{ chatflow: Chatflow; assignedAt: Date }[]>;
  find(id: ChatflowId): Promise<Chatflow | undefined>;
  list(options: { includeDeleted: boolean }): Promise<Chatflow[]>;
  configure(id: ChatflowId, changes: ChatflowChanges): Promise<Chatflow | undefined>;
  save(found: FoundChatflow, at: Date): Promise<'created' | 'updated' | 'unchanged'>;
  markDeleted(ids: readonly ChatflowId[], at: Date): Promise<void>;
  users(id: ChatflowId): Promise<Assignment[]>;
  assign(
    id: ChatflowId,
    user: Omit<Assignment, 'assignedAt'>,
    at: Date,
  ): Promise<'Assigned' | 'Reactivated' | 'No Action'>;
  /** False when the chatflow was not assigned to this address. */
  unassign(id: ChatflowId, email: string): Promise<boolean>;
  renameUser(user: Omit<Assignment, 'assignedAt'>): Promise<void>;
}

export type ChatflowChanges = Readonly<{
  publicOverride?: boolean | null;
  systemPrompt?: string | null;
  allowedOverrides?: readonly string[];
  maxOutputTokens?: number | null;
}>;

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
}

export interface Messages {
  save(messages: readonly StoredMessage[]): Promise<void>;
  /** The newest messages of a session, oldest first. */
  page(sessionId: SessionId, page: Page): Promise<{ messages: StoredMessage[]; nextCursor: string | null }>;
  deleteOf(sessionIds: readonly SessionId[]): Promise<number>;
}

export interface JournalRow {
  readonly holdId: HoldId;
  readonly userId: UserId;
  /** How the hold is to end; absent while its answer was running when last heard of. */
  readonly ending?: Ending;
  readonly checkpoint?: Units;
}

/** What this proxy owes accounting, kept in MongoDB so that a crash forgets none of it. */
export interface Journal {
  open(hold: { holdId: HoldId; userId: UserId }, leaseUntil: Date): Promise<void>;
  checkpoint(rows: readonly { holdId: HoldId; fence: number; units?: Units }[], leaseUntil: Date): Promise<void>;
  conclude(hold: { holdId: HoldId; userId: UserId }, ending: Ending, leaseUntil: Date): Promise<void>;
  close(holdId: HoldId): Promise<void>;
  /**
   * Rows whose owner has not been heard of since its lease ran out. A decided end is taken over; a row without one is only kept
   * from other readers until `leaseUntil`, because its owner may be alive and write again.
   */
  adopt(now: Date, leaseUntil: Date, limit: number): Promise<JournalRow[]>;
  count(): Promise<number>;
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
