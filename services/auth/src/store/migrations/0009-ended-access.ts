import type { Migration } from '@tollgate/mongo-kit';

/** What else ends access, in the order of time; memberships have such an index already. */
export const endedAccess: Migration = {
  name: '0009-ended-access',
  indexes: [
    { collection: 'workspaces', key: { updatedAt: 1 }, options: { name: 'changed' } },
    {
      collection: 'api_keys',
      key: { endedAt: 1 },
      options: { name: 'ended', partialFilterExpression: { endedAt: { $exists: true } } },
    },
  ],
};
