import type { Migration } from '@tollgate/mongo-kit';

/** Chatflows of whole workspaces; conversations by chatflow and by age, and those whose process has fallen silent. */
export const library: Migration = {
  name: '0003-library',
  indexes: [
    {
      collection: 'chatflow_workspaces',
      key: { workspace_id: 1, chatflow_id: 1 },
      options: { name: 'workspace_chatflow' },
    },
    {
      collection: 'chatflow_workspaces',
      key: { chatflow_id: 1, workspace_id: 1 },
      options: { name: 'chatflow_workspace' },
    },
    {
      collection: 'sessions',
      key: { user_id: 1, workspace_id: 1, chatflow_id: 1, last_at: -1, _id: 1 },
      options: { name: 'user_workspace_chatflow_last_at' },
    },
    { collection: 'sessions', key: { chatflow_id: 1, last_at: 1 }, options: { name: 'chatflow_last_at' } },
    { collection: 'sessions', key: { workspace_id: 1, last_at: 1 }, options: { name: 'workspace_last_at' } },
    { collection: 'sessions', key: { forget_at: 1 }, options: { name: 'forget_at', sparse: true } },
    { collection: 'sessions', key: { lease_until: 1 }, options: { name: 'lease_until', sparse: true } },
    { collection: 'user_erasures', key: { due_at: 1 }, options: { name: 'due_at' } },
  ],
};
