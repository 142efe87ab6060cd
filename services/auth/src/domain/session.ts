import type { UserId } from '@tollgate/contracts';

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
  ip: string;
  userAgent: string;
}>;

export type SessionLives = Readonly<{ idleMs: number; absoluteMs: number; graceMs: number }>;

export const END_REASONS = [
  'logout',
  'logout-all',
  'refresh-reuse',
  'password-changed',
  'password-reset',
  'role-changed',
  'account-deleted',
  'workspace-switched',
] as const;
export type EndReason = (typeof END_REASONS)[number];

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
