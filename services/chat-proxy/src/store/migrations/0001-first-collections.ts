import type { Migration } from '@tollgate/mongo-kit';

/** The indexes every query of the first version needs; the collections come into being with them. */
export const firstCollections: Migration = {
  name: '0001-first-collections',
  indexes: [
    {
      collection: 'chatflow_assignments',
      key: { user_id: 1, chatflow_id: 1 },
      options: { name: 'user_chatflow', unique: true },
    },
    { collection: 'chatflow_assignments', key: { chatflow_id: 1, email: 1 }, options: { name: 'chatflow_email' } },
    { collection: 'sessions', key: { user_id: 1, last_at: -1, _id: 1 }, options: { name: 'user_last_at' } },
    { collection: 'sessions', key: { lease_id: 1 }, options: { name: 'lease', sparse: true } },
    // Conversations without stored messages; nothing depends on when they go.
    { collection: 'sessions', key: { expires_at: 1 }, options: { name: 'expiry', expireAfterSeconds: 0 } },
    { collection: 'messages', key: { session_id: 1, created_at: -1, _id: 1 }, options: { name: 'session_created_at' } },
    { collection: 'open_holds', key: { lease_until: 1 }, options: { name: 'lease_until' } },
    { collection: 'upstream_forgets', key: { due_at: 1 }, options: { name: 'due_at' } },
  ],
};
