import type { Migration } from '@tollgate/mongo-kit';

/** The unique one is what bounds the number of keys: nobody has two in the same place. */
export const apiKeys: Migration = {
  name: '0006-api-keys',
  indexes: [
    { collection: 'api_keys', key: { userId: 1, slot: 1 }, options: { name: 'one_in_each_slot', unique: true } },
  ],
};
