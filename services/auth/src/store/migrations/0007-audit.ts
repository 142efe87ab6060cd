import type { Migration } from '@tollgate/mongo-kit';

const A_DAY_SECONDS = 86_400;

/** Chained audit lines, anchors, and what alerts are counted from. Lines from before were in no chain and no release. */
export const audit: Migration = {
  name: '0007-audit',
  clears: ['audit_log'],
  indexes: [
    { collection: 'audit_log', key: { chain: 1, seq: -1 }, options: { name: 'of_chain' } },
    { collection: 'audit_log', key: { eventId: 1 }, options: { name: 'event_unique', unique: true } },
    { collection: 'audit_log', key: { action: 1, at: -1 }, options: { name: 'of_action' } },
    { collection: 'audit_log', key: { actorId: 1, at: -1 }, options: { name: 'of_actor' } },
    { collection: 'audit_log', key: { at: -1, chain: -1, seq: -1 }, options: { name: 'newest_in_order' } },
    { collection: 'audit_anchors', key: { at: -1 }, options: { name: 'newest_first' } },
    { collection: 'alerts', key: { quietUntil: 1 }, options: { name: 'over', expireAfterSeconds: A_DAY_SECONDS } },
  ],
};
