import type { Migration } from '@tollgate/mongo-kit';

/** Logins that stopped half-way are cleared away when they are over. */
export const challenges: Migration = {
  name: '0002-challenges',
  indexes: [{ collection: 'challenges', key: { expiresAt: 1 }, options: { name: 'expired', expireAfterSeconds: 0 } }],
};
