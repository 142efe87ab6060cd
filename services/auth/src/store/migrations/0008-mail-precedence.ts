import type { Migration } from '@tollgate/mongo-kit';

/** The order in which mails are taken: what somebody waits for first, then bulk, each by the time it is due. */
export const mailPrecedence: Migration = {
  name: '0008-mail-precedence',
  indexes: [{ collection: 'mail_queue', key: { isBulk: 1, dueAt: 1 }, options: { name: 'in_order' } }],
};
