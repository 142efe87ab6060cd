import type { Migration } from '@tollgate/mongo-kit';

/** What the other services are told and what it is made from, in the order of time; it is cleared away when the tokens it speaks of have expired. */
export const revocations: Migration = {
  name: '0003-revocations',
  indexes: [
    { collection: 'revocations', key: { madeAt: 1, _id: 1 }, options: { name: 'in_order' } },
    { collection: 'users', key: { updatedAt: 1 }, options: { name: 'changed' } },
    { collection: 'sessions', key: { revokedAt: 1 }, options: { name: 'revoked' } },
    { collection: 'revocations', key: { expiresAt: 1 }, options: { name: 'expired', expireAfterSeconds: 0 } },
  ],
};
