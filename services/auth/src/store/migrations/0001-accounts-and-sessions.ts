import type { Migration } from '../migration.ts';

const PRESENT = (field: string) => ({ partialFilterExpression: { [field]: { $exists: true } } });
/** Clears away what is over; nothing depends on when that happens. */
const CLEARED = { expireAfterSeconds: 0 } as const;
const A_DAY_SECONDS = 86_400;

export const accountsAndSessions: Migration = {
  name: '0001-accounts-and-sessions',
  async up(db) {
    await db.collection('users').createIndexes([
      { key: { usernameKey: 1 }, name: 'username_unique', unique: true, ...PRESENT('usernameKey') },
      { key: { emailKey: 1 }, name: 'email_unique', unique: true, ...PRESENT('emailKey') },
      { key: { abandonedAt: 1 }, name: 'abandoned', ...CLEARED },
    ]);
    await db.collection('sessions').createIndexes([
      { key: { userId: 1 }, name: 'of_user' },
      { key: { endsAt: 1 }, name: 'ended', expireAfterSeconds: A_DAY_SECONDS },
    ]);
    await db.collection('mailed_codes').createIndexes([
      { key: { userId: 1, kind: 1 }, name: 'of_user' },
      { key: { expiresAt: 1 }, name: 'expired', ...CLEARED },
    ]);
    await db.collection('mail_queue').createIndexes([{ key: { dueAt: 1 }, name: 'due' }]);
    await db.collection('audit_log').createIndexes([
      { key: { at: -1 }, name: 'newest_first' },
      { key: { targetId: 1, at: -1 }, name: 'of_target' },
    ]);
    // Names as rate-limiter-flexible gives them, so that it finds them and does not build its own.
    await db.collection('rate_limits').createIndexes([
      { key: { key: 1 }, name: 'key_1', unique: true },
      { key: { expire: -1 }, name: 'expire_-1', ...CLEARED },
    ]);
  },
};
