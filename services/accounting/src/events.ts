import { createEvents, type Logger, type Metrics } from '@tollgate/telemetry';
import type { Events } from './ports.ts';

const MOST_UPSTREAMS = 20;

const FACTS = {
  hold_opened: {
    help: 'Holds taken',
    labels: { clamped: ['true', 'false'] },
    fields: ['holdId', 'userId', 'credits'],
    level: 'debug',
  },
  hold_closed: {
    help: 'Holds closed, by what closed them',
    labels: {
      cause: ['settle', 'void', 'sweep'],
      status: ['settled', 'voided', 'expired'],
      upstream: { atMost: MOST_UPSTREAMS },
    },
    fields: ['holdId', 'userId', 'charged', 'outcome'],
    level: 'debug',
  },
  hold_overrun: {
    help: 'Settlements above their hold; what the balance did not cover was written off or is owed',
    labels: { covered: ['true', 'false'] },
    fields: ['holdId', 'userId', 'overrun', 'writtenOff', 'debt'],
    level: 'warn',
  },
  credits_refused: {
    help: 'Requests refused for want of credits or of a price',
    labels: { reason: ['insufficient_credits', 'model_not_priced'] },
    fields: ['userId'],
  },
  price_added: { help: 'Versions of price rules written', fields: ['ruleId', 'version', 'actor'] },
  price_group_set: { help: 'Accounts given the prices of a group', fields: ['userId', 'group', 'actor'] },
  credits_moved: {
    help: 'Credits granted, corrected, revoked or deducted by people',
    labels: { kind: ['allocated', 'adjusted', 'revoked', 'deducted'] },
    fields: ['userId', 'credits', 'actor'],
  },
  lots_expired: { help: 'Sweeps that booked lapsed lots', fields: ['lots'] },
} as const;

/** The business facts of this service, each counted and logged. */
export function createLedgerEvents(logger: Logger, metrics: Metrics): Events {
  const credits = metrics.counter({
    name: 'tollgate_settled_credits_total',
    help: 'Credits of closed holds, by what became of them',
    labels: { fate: ['charged', 'released', 'expired', 'written_off', 'debt'] },
  });
  const emit = createEvents(logger, metrics, FACTS);
  return {
    holdOpened: (fact) => emit('hold_opened', { ...fact, clamped: fact.clamped ? 'true' : 'false' }),
    holdClosed({ cause, hold }) {
      const { holdId, userId, outcome, upstream } = hold;
      const status = hold.status === 'active' ? 'settled' : hold.status;
      emit('hold_closed', {
        cause,
        status,
        upstream: upstream ?? 'none',
        holdId,
        userId,
        outcome,
        charged: hold.chargedCredits,
      });
      credits.add(hold.chargedCredits, { fate: 'charged' });
      credits.add(hold.releasedCredits, { fate: 'released' });
      credits.add(hold.lapsedCredits, { fate: 'expired' });
      credits.add(hold.writtenOffCredits, { fate: 'written_off' });
      credits.add(hold.debtCredits, { fate: 'debt' });
      const unpaid = hold.writtenOffCredits + hold.debtCredits;
      if (hold.overrunCredits + unpaid === 0) return;
      emit('hold_overrun', {
        covered: unpaid === 0 ? 'true' : 'false',
        holdId,
        userId,
        overrun: hold.overrunCredits,
        writtenOff: hold.writtenOffCredits,
        debt: hold.debtCredits,
      });
    },
    priceAdded: (fact) => emit('price_added', fact),
    priceGroupSet: (fact) => emit('price_group_set', fact),
    refused: (fact) => emit('credits_refused', fact),
    moved: (fact) => emit('credits_moved', fact),
    lotsExpired: (fact) => emit('lots_expired', fact),
  };
}
