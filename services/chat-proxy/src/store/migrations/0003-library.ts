import type { Migration } from '@tollgate/mongo-kit';

/** Chatflows of whole workspaces. */
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
  ],
};
