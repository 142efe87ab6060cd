import { z } from 'zod';
import { MAX_AMOUNT } from './credits.ts';
import { type Permission, PERMISSIONS } from './permissions.ts';
import type { Role } from './ids.ts';

/**
 * What an API key may be allowed: lines of the permission table that make sense for a program. None of them touches the
 * security of an account, so no key can open a session, change a password or make another key.
 */
export const KEY_SCOPES = [
  'chat:use',
  'chatflows:read',
  'vectors:write',
  'sessions:own',
  'profile:read',
  'credits:read-own',
  'usage:read-own',
  'limits:read-own',
  'users:look-up',
  'credits:read-any',
  'credits:allocate',
  'credits:allocate-by-email',
  'sessions:read-any',
  'sessions:read-all',
  'usage:read-any',
  'usage:read-all',
  'reports:read',
  'users:read',
] as const satisfies readonly Permission[];

export const KeyScope = z.enum(KEY_SCOPES);
export type KeyScope = z.infer<typeof KeyScope>;

/** Whether a user of this role may do what the scope names: no key has more than its owner. */
export const roleHasScope = (role: Role, scope: KeyScope): boolean =>
  (PERMISSIONS[scope] as readonly Role[]).includes(role);

/** The public half of a key: `tg_<id>` tells people which one it is. */
export const ApiKeyId = z.string().regex(/^[0-9A-Za-z]{16}$/, 'must be 16 letters or digits');

const MOST_REQUESTS = 1_000_000;
const MOST_TOKENS = 1_000_000_000;
const MOST_PARALLEL = 10_000;

/** What the use of one key is bounded by, beside everything that bounds its owner. */
export const KeyLimits = z.strictObject({
  requestsPerMinute: z.int().min(1).max(MOST_REQUESTS).optional(),
  tokensPerMinute: z.int().min(1).max(MOST_TOKENS).optional(),
  /** Answers under way at a time. */
  parallel: z.int().min(1).max(MOST_PARALLEL).optional(),
  credits: z
    .strictObject({
      amount: z.int().min(1).max(MAX_AMOUNT),
      window: z.enum(['day', 'week', 'month', 'never']),
    })
    .optional(),
});
export type KeyLimits = z.infer<typeof KeyLimits>;
