import type { Role, UserId } from '@tollgate/contracts';
import type { AuditEvent, ReportedEvent } from './domain/audit-event.ts';
import type { BreachName } from './domain/breach-rules.ts';
import type { CodeKind, MailedCode } from './domain/mailed-code.ts';
import type { Letter, NoticeKind } from './domain/mails.ts';
import type { EndReason, Session } from './domain/session.ts';
import type { NewUser, User, UserStatus } from './domain/user.ts';
import type { MemberRole, Place } from './domain/workspace.ts';
import type { ApiKeys, KeyLimitBook, KeySecrets } from './ports/api-keys.ts';
import type { Challenges } from './ports/challenges.ts';
import type { EndedAccess, Revocations } from './ports/revocations.ts';
import type { WorkspacePorts } from './ports/workspaces.ts';
import type { Hashes } from './ports/hashes.ts';
import type { BackupCodes, FieldCipher, KeyUse, SecondFactors, Totp } from './ports/second-factors.ts';
import type { TrustedDevices } from './ports/trusted-devices.ts';

export type Clock = {
  /** Milliseconds since 1970. */
  now(): number;
};

type EmailAddress = Readonly<{ email: string; emailKey: string }>;

export type UserFilter = Readonly<{
  /** How the key of the name or address begins. */
  prefix?: string | undefined;
  role?: Role | undefined;
  /** Deleted ones are listed only when they are asked for. */
  status?: User['status'] | undefined;
}>;

export type Users = {
  /** False when the user name or the address belongs to somebody. */
  insert(user: NewUser): Promise<boolean>;
  /** Deletes accounts with this name or address that nobody verified in time. */
  removeAbandoned(keys: { usernameKey: string; emailKey: string }, now: Date): Promise<void>;
  /** An account that is active. */
  find(id: UserId): Promise<User | undefined>;
  /** An account that is not deleted. */
  findAny(id: UserId): Promise<User | undefined>;
  findSome(ids: readonly UserId[]): Promise<User[]>;
  findByName(usernameKey: string): Promise<User | undefined>;
  findByEmail(emailKey: string): Promise<User | undefined>;
  /** Accounts in the order of their ids, decoys left out. */
  list(filter: UserFilter, page: { after?: UserId | undefined; limit: number }): Promise<User[]>;
  /** False when the account does not own this address (any more). */
  verify(id: UserId, emailKey: string, now: Date): Promise<boolean>;
  /**
   * Changes the password, remembers the hash it `replaces`, and ends the validity of every session opened before and of every
   * change of the address that was asked for with the old one. With a `version` only while the account has it still.
   */
  setPassword(
    id: UserId,
    change: { hash: string; replaces: string; version?: number },
    now: Date,
  ): Promise<User | undefined>;
  /** Puts a stronger hash of the same password in place, unless the password has changed meanwhile. */
  replaceHash(id: UserId, hashes: { from: string; to: string }): Promise<void>;
  rename(id: UserId, name: { username: string; usernameKey: string }, now: Date): Promise<User | 'taken' | undefined>;
  /** Only while the account is as it was when its password was proven. */
  setPendingEmail(user: Pick<User, 'id' | 'tokenVersion'>, email: string, now: Date): Promise<User | undefined>;
  /** Only while `email` is the address that waits for confirmation; false also when another account has it. */
  confirmEmail(id: UserId, address: EmailAddress, now: Date): Promise<boolean>;
  setRole(id: UserId, role: Role, now: Date): Promise<User | undefined>;
  /** Where logins begin that name no workspace; null: nowhere in particular. */
  setDefaultWorkspace(id: UserId, workspaceId: string | null, now: Date): Promise<User | undefined>;
  /**
   * Changes the status in one step, only while the account is as expected. What is not active any more has no valid session
   * from that moment on.
   */
  setStatus(
    id: UserId,
    change: { from: readonly UserStatus[]; to: UserStatus; role: Role },
    now: Date,
  ): Promise<User | undefined>;
  /** Ends the validity of every session opened before, also of one that is being opened at this moment. */
  endSessions(id: UserId, now: Date): Promise<User | undefined>;
  markDeleted(ids: readonly UserId[], now: Date): Promise<number>;
  /** Up to `limit` accounts that "delete all" would delete. */
  idsBeside(keep: { id: UserId; admins: boolean }, limit: number): Promise<UserId[]>;
};

type Rotation = Readonly<{
  fromHash: string;
  toHash: string;
  sealedSuccessor: string;
  now: Date;
  idleUntil: Date;
  usesCookies: boolean;
}>;

export type Sessions = {
  insert(session: Session): Promise<void>;
  find(id: string): Promise<Session | undefined>;
  /** The one atomic step of a refresh; undefined when `fromHash` is not the current token of a living session. */
  rotate(id: string, rotation: Rotation): Promise<Session | undefined>;
  /** False when the session has ended. */
  markSteppedUp(id: string, userId: UserId, now: Date): Promise<boolean>;
  /** False when it had ended before. */
  end(id: string, reason: EndReason, now: Date): Promise<boolean>;
  /** The living sessions of an account as it is now, the one used last first. */
  listOf(user: { id: UserId; tokenVersion: number }, now: Date): Promise<Session[]>;
  /** Ends all living sessions of an account but those used last; the ids of the ended ones. */
  endAllBut(kept: number, userId: UserId, reason: EndReason, now: Date): Promise<string[]>;
  endAllOf(userIds: readonly UserId[], reason: EndReason, now: Date): Promise<void>;
  endOthersOf(
    userId: UserId,
    kept: { id: string; tokenVersion: number },
    end: { reason: EndReason; now: Date },
  ): Promise<void>;
};

export type MailedCodes = {
  /** False when another code has the same hash: draw again. */
  insert(code: MailedCode): Promise<boolean>;
  find(kind: CodeKind, hashes: Hashes, now: Date): Promise<MailedCode | undefined>;
  /** Uses the code up; undefined for everybody but the first. */
  take(kind: CodeKind, hash: string, now: Date): Promise<MailedCode | undefined>;
  hasOutstanding(kind: CodeKind, userId: UserId, now: Date): Promise<boolean>;
  discard(userId: UserId, kinds: readonly CodeKind[]): Promise<void>;
};

/**
 * What is to be mailed. Secrets are made when the mail is written, so that none lies in the queue, and addresses are
 * looked up then, so that a request for an unknown address does exactly the same work as for a known one.
 */
export type MailOrder =
  | OrderOf<'verification' | 'password-reset' | 'already-registered', { email: string }>
  | OrderOf<'welcome' | NoticeKind, { userId: UserId }>
  | OrderOf<'email-change' | 'email-changed', { userId: UserId; email: string }>
  | OrderOf<'alert', { email: string; alert: Readonly<{ rule: BreachName; about: string; count: number }> }>
  | OrderOf<'invitation', { email: string; invitationId: string }>
  | OrderOf<'member-role', { userId: UserId; workspaceId: string; role: MemberRole | 'owner' }>
  | OrderOf<'member-removed', { userId: UserId; workspaceId: string }>;
type OrderOf<Kind, Fields> = Kind extends string ? Readonly<{ kind: Kind } & Fields> : never;

export type LeasedMail = Readonly<{ id: string; leaseId: string; attempts: number; orderedAt: Date; order: MailOrder }>;

export type MailQueue = {
  add(order: MailOrder, now: Date): Promise<void>;
  /** The mail that waits longest, bulk after all others; for this process alone until `until`. */
  lease(now: Date, until: Date): Promise<LeasedMail | undefined>;
  remove(mail: LeasedMail): Promise<void>;
  retryAt(mail: LeasedMail, at: Date, reason: string): Promise<void>;
  /** How many wait, those in somebody's hands included, and since when the oldest does. */
  depth(): Promise<Readonly<{ waiting: number; oldest: Date | undefined }>>;
};

export type AdminRoster = {
  add(id: UserId): Promise<void>;
  /**
   * Strikes an administrator off in one atomic step: false unless `actorId` is on the roster at that moment and somebody
   * remains, so that administrators who strike off each other leave one.
   */
  strike(id: UserId, actorId: UserId): Promise<boolean>;
  /** Strikes off everybody but the actor; false unless the actor is on the roster. */
  strikeOthers(actorId: UserId): Promise<boolean>;
};

export type Events = {
  /** Writes one line of the audit log, and counts and logs the fact. */
  record(event: AuditEvent): Promise<void>;
  /** The same for what another service reports; once for one `eventId`. */
  recordReport(event: ReportedEvent): Promise<void>;
};

export type Mailer = {
  /** `refused`: the server will never take this mail. Throws when another try may succeed. */
  send(mail: Letter & { to: string }): Promise<'sent' | 'refused'>;
};

export type Passwords = {
  hash(password: string): Promise<string>;
  /** Whether it is one of these; hashes under a pepper that is no longer there are passed over. */
  matchesAny(password: string, storedHashes: readonly string[]): Promise<boolean>;
  /** Takes as long without a stored hash (unknown user) as with one. */
  check(password: string, storedHash: string | undefined): Promise<{ matches: boolean; outdated: boolean }>;
};

export type Tokens = {
  access(user: User, session: { id: string; lifeMs: number }, place: Place): Promise<string>;
  /** `endsAt`: no refresh token outlives its session. */
  refresh(userId: UserId, sessionId: string, endsAt: Date): Promise<string>;
  /** Undefined for everything but a valid refresh token of ours. */
  readRefresh(token: string): Promise<{ userId: UserId; sessionId: string } | undefined>;
  /** The session of a valid access token. */
  readAccessSession(token: string): Promise<string | undefined>;
  hash(token: string): string;
  /** Makes `successor` readable only for somebody who has `token`. */
  seal(successor: string, token: string): string;
  unseal(sealed: string, token: string): string | undefined;
};

export type MailedSecrets = {
  /** A new secret and the keyed hash to store. */
  create(kind: CodeKind): { secret: string; hash: string };
  hashes(kind: CodeKind, secret: string): Hashes;
  /** 256 random bits for a client to bring back, and the hash to store. */
  challenge(): { secret: string; hash: string };
  challengeHashes(secret: string): Hashes;
  /** Tells identifiers apart that are not to be kept: people type passwords where a name belongs. */
  hashIdentifier(key: string): string;
  /** A password nobody has to remember: random, easy to read out. */
  password(): string;
  userId(): UserId;
  uuid(): string;
};

export type LimitName =
  | 'sign-up-per-address'
  | 'sign-up-per-recipient'
  | 'log-in-per-address'
  | 'log-in-per-identifier'
  | 'log-in-per-device'
  | 'log-in-failures-per-owner'
  | 'log-in-failures-per-network'
  | 'second-factor-per-user'
  | 'refresh-per-address'
  | 'mail-per-address'
  | 'mail-per-recipient'
  | 'verify-per-address'
  | 'verify-per-account'
  | 'verify-misses'
  | 'reset-per-address'
  | 'password-per-user'
  | 'rename-per-user'
  | 'workspaces-per-user'
  | 'access-changes-per-user'
  | 'invite-per-user'
  | 'invite-per-recipient'
  | 'join-per-user';
export type LimitRules = Readonly<Record<LimitName, Readonly<{ points: number; windowSeconds: number }>>>;

export type Limits = {
  /** Spends one unit; throws RATE_LIMITED when there is none left. */
  spend(name: LimitName, key: string): Promise<void>;
  /** Throws RATE_LIMITED when there is none left, and spends nothing. */
  check(name: LimitName, key: string): Promise<void>;
  /** Counts wrong guesses only, and forgets none of them for a right one: everybody in a network shares the count. */
  tryOut<T>(name: LimitName, key: string, guess: () => Promise<T | undefined>): Promise<T | undefined>;
  /**
   * Counts wrong guesses only. Runs one guess per key at a time, so that guesses made at once cannot outrun the count;
   * throws RATE_LIMITED when the wrong ones are used up. `undefined` is a wrong guess; a right one forgets them all.
   */
  guess<T>(name: LimitName, key: string, guess: () => Promise<T | undefined>): Promise<T | undefined>;
};

export type Ports = WorkspacePorts & {
  clock: Clock;
  users: Users;
  sessions: Sessions;
  mailedCodes: MailedCodes;
  challenges: Challenges;
  revocations: Revocations;
  apiKeys: ApiKeys;
  keySecrets: KeySecrets;
  /** Undefined when this installation has not said where accounting is. */
  keyLimitBook: KeyLimitBook | undefined;
  endedAccess: EndedAccess;
  secondFactors: SecondFactors;
  keyUse: KeyUse;
  totp: Totp;
  backupCodes: BackupCodes;
  fieldCipher: FieldCipher;
  devices: TrustedDevices;
  mailQueue: MailQueue;
  adminRoster: AdminRoster;
  events: Events;
  mailer: Mailer;
  passwords: Passwords;
  tokens: Tokens;
  secrets: MailedSecrets;
  limits: Limits;
};
