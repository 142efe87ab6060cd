import type { auth } from '@tollgate/contracts';

type RevocationReason =
  | 'logout'
  | 'logout-all'
  | 'session-ended'
  | 'too-many-sessions'
  | 'refresh-reuse'
  | 'password-changed'
  | 'password-reset'
  | 'role-changed'
  | 'mfa-changed'
  | 'signed-out'
  | 'account-locked'
  | 'account-disabled'
  | 'account-deleted'
  | 'membership-changed'
  | 'membership-removed'
  | 'workspace-disabled'
  | 'key-revoked'
  /** Found to have ended, and not told at the time. */
  | 'access-ended';

type Decided<Told> = Told extends auth.Revocation ? Omit<Told, 'id' | 'madeAt' | 'reason'> : never;

/** Which access tokens count no longer, and why. */
export type NewRevocation = Readonly<Decided<auth.Revocation> & { reason: RevocationReason }>;
/** As it was written down. */
export type Revocation = NewRevocation & Readonly<{ id: string; madeAt: number }>;
/** When what it speaks of ended; when it is written, if absent. */
export type Ending = Readonly<{ endedAt?: Date }>;

/** The `minVersion` of an account that never comes back. */
export const EVERY_VERSION = Number.MAX_SAFE_INTEGER;

/**
 * How long an entry is told: the longest life an access token can be configured to have, the tolerance of verifiers, and the
 * difference between our clocks.
 */
export const TOLD_FOR_MS = 3_600_000 + 60_000;

/** What names the fact: a step that is repeated writes nothing twice. */
export function revocationId(entry: NewRevocation, endedAt: Date): string {
  switch (entry.kind) {
    case 'session':
      return `session:${entry.sessionId}`;
    case 'user':
      return `user:${entry.userId}:${entry.minVersion}`;
    case 'member':
      return `member:${entry.userId}:${entry.workspaceId}:${entry.minVersion}`;
    // These can be taken back and happen again.
    case 'workspace':
      return `workspace:${entry.workspaceId}:${endedAt.getTime()}`;
    case 'key':
      return `key:${entry.keyId}:${endedAt.getTime()}`;
  }
}
