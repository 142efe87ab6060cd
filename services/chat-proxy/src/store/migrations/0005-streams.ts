import type { Migration } from '@tollgate/mongo-kit';

/** Stops, answers to read again, idempotency keys and what is counted together. Nothing depends on when rows expire. */
export const streams: Migration = {
  name: '0005-streams',
  indexes: [
    {
      collection: 'open_holds',
      key: { instance: 1, stop_at: 1 },
      options: { name: 'instance_stop_at', partialFilterExpression: { stop_at: { $exists: true } } },
    },
    {
      collection: 'answer_recordings',
      key: { instance: 1, followed_until: 1 },
      options: { name: 'instance_followed_until' },
    },
    { collection: 'answer_recordings', key: { expires_at: 1 }, options: { name: 'expiry', expireAfterSeconds: 0 } },
    { collection: 'answer_parts', key: { request_id: 1, to: 1 }, options: { name: 'request_to' } },
    { collection: 'answer_parts', key: { expires_at: 1 }, options: { name: 'expiry', expireAfterSeconds: 0 } },
    { collection: 'idempotency_keys', key: { expires_at: 1 }, options: { name: 'expiry', expireAfterSeconds: 0 } },
    { collection: 'rate_counts', key: { expires_at: 1 }, options: { name: 'expiry', expireAfterSeconds: 0 } },
    { collection: 'answer_slots', key: { expires_at: 1 }, options: { name: 'expiry', expireAfterSeconds: 0 } },
  ],
};
