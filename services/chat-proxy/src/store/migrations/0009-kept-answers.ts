import type { Migration } from '@tollgate/mongo-kit';

/** Answers to be read again, by user, for when the account is deleted. */
export const keptAnswers: Migration = {
  name: '0009-kept-answers',
  indexes: [{ collection: 'answer_recordings', key: { user_id: 1 }, options: { name: 'user' } }],
};
