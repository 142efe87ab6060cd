import { ROLES, type Role } from './ids.ts';

/** `anyone` needs no token, `service` a service token with the user it acts for, a role list an access token of such a user. */
export type Callers = 'anyone' | 'service' | readonly Role[];

const EVERY_USER = ROLES;
const STAFF = ['supervisor', 'admin'] as const;
const ADMIN = ['admin'] as const;

/** The one table of who may do what; every operation names a line of it. */
export const PERMISSIONS = {
  public: 'anyone',
  'profile:own': EVERY_USER,
  'profile:read': EVERY_USER,
  'api-keys:own': EVERY_USER,
  'api-keys:administer': ADMIN,
  'mfa:own': EVERY_USER,
  'mfa:reset': ADMIN,
  'dashboard:read': EVERY_USER,
  'reports:read': STAFF,
  'users:look-up': EVERY_USER,
  'users:read': ADMIN,
  'users:write': ADMIN,
  'audit:read': ADMIN,
  'internal:audit': 'service',
  'workspaces:own': EVERY_USER,
  'workspaces:administer': ADMIN,
  'internal:memberships': 'service',
  'credits:read-own': EVERY_USER,
  'credits:deduct-own': EVERY_USER,
  'credits:read-any': STAFF,
  'credits:allocate': STAFF,
  'credits:allocate-by-email': ADMIN,
  'credits:revoke': ADMIN,
  'credits:refund': ADMIN,
  'topups:own': EVERY_USER,
  'vouchers:write': ADMIN,
  'vouchers:redeem': EVERY_USER,
  'sessions:own': EVERY_USER,
  'sessions:read-any': STAFF,
  'sessions:read-all': ADMIN,
  'usage:read-own': EVERY_USER,
  'usage:read-any': STAFF,
  'usage:read-all': ADMIN,
  'usage:record': 'service',
  'holds:write': 'service',
  'accounts:write': ADMIN,
  'pricing:write': ADMIN,
  'ledger:verify': ADMIN,
  'limits:read-own': EVERY_USER,
  'limits:write': ADMIN,
  'workspaces:bill': ADMIN,
  'blocks:write': ADMIN,
  'tenant:administer': ADMIN,
  'internal:verify-keys': 'service',
  'internal:key-limits': 'service',
  'chat:use': EVERY_USER,
  'chatflows:read': EVERY_USER,
  'chatflows:administer': ADMIN,
  'vectors:write': ADMIN,
  'internal:revocations': 'service',
} as const satisfies Record<string, Callers>;

export type Permission = keyof typeof PERMISSIONS;
