import type { Migration } from '@tollgate/mongo-kit';

/** Conversations belong to a workspace; those without one to the default workspace. */
export const workspaces: Migration = {
  name: '0002-workspaces',
  indexes: [
    {
      collection: 'sessions',
      key: { user_id: 1, workspace_id: 1, last_at: -1, _id: 1 },
      options: { name: 'user_workspace_last_at' },
    },
  ],
};
