import type { Migration } from '@tollgate/mongo-kit';

/** What else is known of a user, for when the account is deleted. */
export const traces: Migration = {
  name: '0009-traces',
  indexes: [
    { collection: 'leads', key: { owner: 1 }, options: { name: 'owner' } },
    { collection: 'answer_recordings', key: { user_id: 1 }, options: { name: 'user' } },
  ],
};
