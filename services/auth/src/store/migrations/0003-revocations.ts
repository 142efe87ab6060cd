import type { Migration } from '@tollgate/mongo-kit';

/** What the other services are told, in the order of time; it is cleared away when the tokens it speaks of have expired. */
export const revocations: Migration = {
  name: '0003-revocations',
  indexes: [
    { collection: 'revocations', key: { madeAt: 1, _id: 1 }, options: { name: 'in_order' } },
    { collection: 'revocations', key: { expiresAt: 1 }, options: { name: 'expired', expireAfterSeconds: 0 } },
  ],
};
