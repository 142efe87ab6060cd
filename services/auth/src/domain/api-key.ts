import { timingSafeEqual } from 'node:crypto';
import type { KeyLimits, KeyScope, UserId } from '@tollgate/contracts';

/** A credential for programs: it acts for its owner in one workspace, within its scopes. */
export type ApiKey = Readonly<{
  id: string;
  userId: UserId;
  /** Where the session was that made it. */
  workspaceId: string;
  name: string;
  scopes: readonly KeyScope[];
  secretHash: string;
  /** The secret before the last rotation. */
  previous?: Readonly<{ secretHash: string; until: Date }>;
  /** How long it lives from its making, and from every rotation. */
  lifeMs: number;
  createdAt: Date;
  expiresAt: Date;
  /** Who switched it off; what an administrator switched off, its owner cannot switch on. */
  disabledBy?: 'owner' | 'admin';
  /** When it was last disabled, or a secret of it ended at once: what others remember of it from before counts no longer. */
  endedAt?: Date;
  limits?: KeyLimits;
  /** Grows with every change of the limits. */
  limitsRevision: number;
  /** To the minute. */
  lastUsedAt?: Date;
  lastUsedIp?: string;
}>;

/** Living keys of one user at most. */
export const MOST_KEYS = 50;

const USE_NOTED_EVERY_MS = 60_000;

export const statusOf = ({ disabledBy, expiresAt }: ApiKey, now: number): 'active' | 'disabled' | 'expired' => {
  if (expiresAt.getTime() <= now) return 'expired';
  return disabledBy === undefined ? 'active' : 'disabled';
};

/** When the secret with this hash ends; undefined for one that the key does not have, or not any more. */
export function secretEnd({ secretHash, previous, expiresAt }: ApiKey, hash: string, now: number): Date | undefined {
  // Both are compared, so that the time does not tell which one it was.
  const isCurrent = isSame(secretHash, hash);
  const isPrevious = isSame(previous?.secretHash ?? secretHash, hash) && previous !== undefined;
  if (isCurrent) return expiresAt;
  return isPrevious && previous.until.getTime() > now ? previous.until : undefined;
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Whether this use is worth writing down: not oftener than once a minute. */
export const isUseNews = ({ lastUsedAt }: ApiKey, now: number): boolean =>
  lastUsedAt === undefined || now - lastUsedAt.getTime() >= USE_NOTED_EVERY_MS;
