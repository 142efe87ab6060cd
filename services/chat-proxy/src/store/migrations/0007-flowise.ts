import type { Migration } from '@tollgate/mongo-kit';

/** Ratings and leads of chat windows, and the chatflows that a page may use. */
export const flowiseWindows: Migration = {
  name: '0007-flowise-windows',
  indexes: [
    {
      collection: 'message_feedback',
      key: { user_id: 1, request_id: 1 },
      options: { name: 'user_request', unique: true },
    },
    { collection: 'message_feedback', key: { session_id: 1 }, options: { name: 'session' } },
    {
      collection: 'leads',
      key: { chatflow_id: 1, chat_id: 1, owner: 1 },
      options: { name: 'chatflow_chat_owner', unique: true },
    },
    { collection: 'leads', key: { owner: 1 }, options: { name: 'owner' } },
    // Counts of a past hour; nothing depends on when they go.
    { collection: 'lead_counts', key: { expires_at: 1 }, options: { name: 'expiry', expireAfterSeconds: 0 } },
    { collection: 'chatflows', key: { allowed_origins: 1 }, options: { name: 'allowed_origins' } },
  ],
};
