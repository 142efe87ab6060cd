import type { Migration } from '@tollgate/mongo-kit';

const PRESENT = (field: string) => ({ partialFilterExpression: { [field]: { $exists: true } } });
/** Clears away what is over; nothing depends on when that happens. */
const CLEARED = { expireAfterSeconds: 0 } as const;
const A_DAY_SECONDS = 86_400;

/** The indexes of the first version. Without the unique ones two accounts could share a name. */
export const accountsAndSessions: Migration = {
  name: '0001-accounts-and-sessions',
  indexes: [
    {
      collection: 'users',
      key: { usernameKey: 1 },
      options: { name: 'username_unique', unique: true, ...PRESENT('usernameKey') },
    },
    {
      collection: 'users',
      key: { emailKey: 1 },
      options: { name: 'email_unique', unique: true, ...PRESENT('emailKey') },
    },
    { collection: 'users', key: { abandonedAt: 1 }, options: { name: 'abandoned', ...CLEARED } },
    { collection: 'sessions', key: { userId: 1 }, options: { name: 'of_user' } },
    { collection: 'sessions', key: { endsAt: 1 }, options: { name: 'ended', expireAfterSeconds: A_DAY_SECONDS } },
    { collection: 'mailed_codes', key: { userId: 1, kind: 1 }, options: { name: 'of_user' } },
    { collection: 'mailed_codes', key: { expiresAt: 1 }, options: { name: 'expired', ...CLEARED } },
    { collection: 'mail_queue', key: { dueAt: 1 }, options: { name: 'due' } },
    { collection: 'audit_log', key: { at: -1 }, options: { name: 'newest_first' } },
    { collection: 'audit_log', key: { targetId: 1, at: -1 }, options: { name: 'of_target' } },
    // Names as rate-limiter-flexible gives them, so that it finds them and does not build its own.
    { collection: 'rate_limits', key: { key: 1 }, options: { name: 'key_1', unique: true } },
    { collection: 'rate_limits', key: { expire: -1 }, options: { name: 'expire_-1', ...CLEARED } },
  ],
};
