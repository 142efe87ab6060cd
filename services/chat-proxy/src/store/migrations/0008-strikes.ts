import type { Migration } from '@tollgate/mongo-kit';

/** Counts of answers that were left before they began, for as long as their window lasts. */
export const strikes: Migration = {
  name: '0008-strikes',
  indexes: [{ collection: 'strikes', key: { expires_at: 1 }, options: { name: 'expiry', expireAfterSeconds: 0 } }],
};
