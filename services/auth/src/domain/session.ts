import type { Role, UserId } from '@tollgate/contracts';

/** One login and all refresh tokens that descend from it: a token family. */
export type Session = Readonly<{
  id: string;
  userId: UserId;
  /** The user's token version when the session was opened; a session of an older version is over. */
  tokenVersion: number;
  /** Where the user works; absent in the default workspace. */
  workspaceId?: string;
  currentHash: string;
  previousHash?: string;
  /** The current refresh token, readable only with the one it replaced. */
  sealedSuccessor?: string;
  rotatedAt: Date;
  createdAt: Date;
  idleUntil: Date;
  /** No refresh reaches beyond this. */
  endsAt: Date;
  revokedAt?: Date;
  /** Whether a browser page opened it or its cookie refreshed it, once. */
  usesCookies?: boolean;
  /** When its user last proved password and second factor again. */
  steppedUpAt?: Date;
  ip: string;
  userAgent: string;
}>;

export type SessionLives = Readonly<{
  /** How long a session may go without a refresh: in general, with cookies, and of an administrator. */
  idleMs: number;
  cookieIdleMs: number;
  adminIdleMs: number;
  absoluteMs: number;
  graceMs: number;
  accessMs: number;
}>;

/** What the limits of a session depend on. */
type Use = Readonly<{ usesCookies?: boolean | undefined; role: Role }>;

/** How long it may go without a refresh (docs/adr/0015-idle-limits.md). */
export const idleLimitOf = ({ usesCookies = false, role }: Use, lives: SessionLives): number =>
  Math.min(
    lives.idleMs,
    usesCookies ? lives.cookieIdleMs : Number.POSITIVE_INFINITY,
    role === 'admin' ? lives.adminIdleMs : Number.POSITIVE_INFINITY,
  );

/** A client that is active refreshes when its access token ends: twice and once more before its session would. */
const ACCESS_SHARE_OF_IDLE = 1 / 3;

/** How long an access token of it lives. */
export const accessLifeOf = (use: Use, lives: SessionLives): number =>
  Math.min(lives.accessMs, idleLimitOf(use, lives) * ACCESS_SHARE_OF_IDLE);

export const END_REASONS = [
  'logout',
  'logout-all',
  'refresh-reuse',
  'password-changed',
  'password-reset',
  'role-changed',
  'account-deleted',
  'account-locked',
  'account-disabled',
  'signed-out',
  'session-ended',
  'too-many-sessions',
  'workspace-switched',
] as const;
/** Those that concern one session. With the others the account has a new version, which tells all of them. */
export const SINGLE_ENDS = [
  'logout',
  'session-ended',
  'too-many-sessions',
  'refresh-reuse',
  'workspace-switched',
] as const;
export type EndReason = (typeof END_REASONS)[number];

/** The living sessions of one account; the one that was used longest ago makes room. */
export const MOST_SESSIONS = 100;

export const isOver = (session: Session, now: number): boolean =>
  session.revokedAt !== undefined || session.idleUntil.getTime() <= now || session.endsAt.getTime() <= now;

/**
 * What a refresh token that was not the current one is. `repeated`: the client did not hear the answer and asks again,
 * within the grace of its own rotation. `reused`: an older one, so it was copied (RFC 9700, section 4.14.2).
 */
export function judgeReplay(session: Session, hash: string, now: number, graceMs: number): 'repeated' | 'reused' {
  const inGrace = now - session.rotatedAt.getTime() <= graceMs;
  return session.previousHash === hash && inGrace ? 'repeated' : 'reused';
}
