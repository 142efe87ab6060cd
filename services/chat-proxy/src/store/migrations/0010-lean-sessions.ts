import type { Migration } from '@tollgate/mongo-kit';

/**
 * Every index of a conversation is written again with each change of its row, and each answer changes it twice: what only some
 * rows are looked for by covers only those, and what another index answers as well is not there.
 */
export const leanSessions: Migration = {
  name: '0010-lean-sessions',
  indexes: [
    {
      collection: 'sessions',
      key: { user_id: 1, workspace_id: 1, last_at: -1, _id: 1 },
      // Lists have no others; the rows of a user as a whole are found by `user_workspace_chatflow_last_at`.
      options: { name: 'user_workspace_listed', partialFilterExpression: { message_count: { $gt: 0 } } },
    },
    {
      collection: 'sessions',
      key: { lease_until: 1 },
      options: { name: 'unfinished', partialFilterExpression: { pending: { $exists: true } } },
    },
    {
      collection: 'sessions',
      key: { expires_at: 1 },
      options: {
        name: 'older_expiry',
        expireAfterSeconds: 0,
        partialFilterExpression: { expires_at: { $exists: true } },
      },
    },
  ],
  drops: [
    { collection: 'sessions', name: 'user_last_at' },
    { collection: 'sessions', name: 'user_workspace_last_at' },
    { collection: 'sessions', name: 'lease_until' },
    { collection: 'sessions', name: 'expiry' },
  ],
};
