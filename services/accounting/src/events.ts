import { accounting } from '@tollgate/contracts';
import { createEvents, type Logger, type Metrics } from '@tollgate/telemetry';
import type { Events } from './ports.ts';

const MOST_UPSTREAMS = 20;

const INVARIANTS = ['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9'] as const;

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
    help: 'Requests refused for want of credits or of a price, by a limit or by a block',
    labels: {
      reason: [
        'insufficient_credits',
        'model_not_priced',
        'budget_exceeded',
        'rate_limited',
        'parallel_limit',
        'account_disabled',
        'key_revoked',
        'workspace_disabled',
      ],
    },
    fields: ['userId'],
  },
  price_added: { help: 'Versions of price rules written', fields: ['ruleId', 'version', 'actor'] },
  price_group_set: { help: 'Accounts given the prices of a group', fields: ['userId', 'group', 'actor'] },
  credits_moved: {
    help: 'Credits granted, corrected, revoked or deducted by people',
    labels: { kind: ['allocated', 'adjusted', 'revoked', 'deducted', 'refunded', 'redeemed'] },
    fields: ['userId', 'credits', 'actor'],
  },
  rule_changed: {
    help: 'Limits, payers and blocks that people changed',
    labels: { kind: ['limit_set', 'limit_ended', 'billing_set', 'blocked', 'unblocked'] },
    fields: ['subject', 'actor'],
  },
  movement_overstepped: {
    help: 'Attempts to move credits beyond what the role allows',
    labels: { operation: { atMost: 10 } },
    fields: ['actor', 'of', 'credits'],
    level: 'warn',
  },
  vouchers_made: { help: 'Batches of vouchers', fields: ['count', 'credits', 'actor'] },
  payment_applied: {
    help: 'Events of payment providers that moved an order, by its state then',
    labels: { provider: ['stripe', 'standard'], state: ['pending', 'failed', 'paid', 'refunded', 'charged_back'] },
    fields: ['orderId', 'userId', 'granted', 'takenBack', 'shortfall'],
  },
  payment_refused: {
    help: 'Events of payment providers that were forged, too old, or about another order than they said',
    labels: { provider: ['stripe', 'standard'], reason: ['unsigned', 'forged', 'stale', 'mismatch'] },
    fields: ['orderId'],
    level: 'warn',
  },
  lots_expired: { help: 'Sweeps that booked lapsed lots', fields: ['lots'] },
  tenant_changed: { help: 'Changes of the settings of the installation', fields: ['actor'] },
  outbox_delivered: {
    help: 'Events that their receiver has taken',
    labels: { kind: ['webhook', 'mail'], type: accounting.OUTBOX_EVENT_TYPES },
    fields: ['attempts'],
    level: 'debug',
  },
  outbox_given_up: {
    help: 'Events that a receiver will never get',
    labels: { kind: ['webhook', 'mail'], type: accounting.OUTBOX_EVENT_TYPES },
    fields: ['eventId', 'destination', 'attempts', 'error'],
    level: 'warn',
  },
  outbox_orphaned: {
    help: 'Sweeps that gave up events for receivers that are not configured any more',
    fields: ['deliveries'],
    level: 'warn',
  },
  ledger_head: {
    help: 'Signed heads of the ledger',
    fields: ['number', 'takenAt', 'previousHash', 'root', 'accounts', 'transactions', 'hash', 'keyId', 'signature'],
  },
  ledger_drift: {
    help: 'Invariants of the books that a reconciliation found broken',
    labels: { invariant: INVARIANTS },
    fields: ['title', 'offenders', 'first'],
    level: 'error',
  },
} as const;

/** The business facts of this service, each counted and logged. */
export function createLedgerEvents(logger: Logger, metrics: Metrics): Events {
  const waiting = metrics.gauge({ name: 'tollgate_outbox_waiting', help: 'Deliveries of events that are not through' });
  const oldest = metrics.gauge({
    name: 'tollgate_outbox_oldest_seconds',
    help: 'Age of the oldest event that is not through',
  });
  const emit = createEvents(logger, metrics, FACTS);
  return {
    holdOpened: (fact) => emit('hold_opened', { ...fact, clamped: fact.clamped ? 'true' : 'false' }),
    holdClosed: holdClosed(emit, metrics),
    priceAdded: (fact) => emit('price_added', fact),
    priceGroupSet: (fact) => emit('price_group_set', fact),
    refused: (fact) => emit('credits_refused', fact),
    moved: ({ kind, userId, credits, actor }) => emit('credits_moved', { kind, userId, credits, actor }),
    ruled: (fact) => emit('rule_changed', fact),
    overstepped: (fact) => emit('movement_overstepped', fact),
    vouchersMade: (fact) => emit('vouchers_made', fact),
    paymentApplied: (fact) => emit('payment_applied', fact),
    paymentRefused: (fact) => emit('payment_refused', fact),
    holdsMeasured: holdsMeasured(metrics),
    lotsExpired: (fact) => emit('lots_expired', fact),
    tenantChanged: (fact) => emit('tenant_changed', fact),
    eventDelivered: (fact) => emit('outbox_delivered', fact),
    eventGivenUp: (fact) => emit('outbox_given_up', fact),
    deliveriesOrphaned: (fact) => emit('outbox_orphaned', fact),
    outboxDepth(depth) {
      waiting.set(depth.waiting);
      oldest.set(depth.oldestSeconds);
    },
    headTaken: (head) => emit('ledger_head', head),
    reconciled: reconciled(emit, metrics),
  };
}

function holdsMeasured(metrics: Metrics): Events['holdsMeasured'] {
  const holds = metrics.gauge({
    name: 'tollgate_holds',
    help: 'Holds that are open, by whether their lease still runs',
    labels: { state: ['active', 'overdue'] },
  });
  const oldest = metrics.gauge({ name: 'tollgate_hold_oldest_seconds', help: 'Age of the oldest hold that is open' });
  const overdue = metrics.gauge({
    name: 'tollgate_hold_overdue_seconds',
    help: 'How long the lease of an open hold has been over, of the one for which it is longest; the sweep is to close it',
  });
  return (figures) => {
    holds.set(figures.active, { state: 'active' });
    holds.set(figures.overdue, { state: 'overdue' });
    oldest.set(figures.oldestSeconds);
    overdue.set(figures.overdueSeconds);
  };
}

type Emit = ReturnType<typeof createEvents<typeof FACTS>>;

function holdClosed(emit: Emit, metrics: Metrics): Events['holdClosed'] {
  const credits = metrics.counter({
    name: 'tollgate_settled_credits_total',
    help: 'Credits of closed holds, by what became of them',
    labels: { fate: ['charged', 'released', 'expired', 'written_off', 'debt'] },
  });
  // By itself: a series that begins with its first event, as one for each upstream does, rises for no alert.
  const swept = metrics.counter({
    name: 'tollgate_holds_swept_total',
    help: 'Holds closed by the sweep, because their lease was over',
  });
  return ({ cause, hold }) => {
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
    if (cause === 'sweep') swept.add(1);
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
  };
}

function reconciled(emit: Emit, metrics: Metrics): Events['reconciled'] {
  const drift = metrics.gauge({
    name: 'tollgate_ledger_drift',
    help: 'Rows that break an invariant of the books, as the last reconciliation found them',
    labels: { invariant: INVARIANTS },
  });
  return ({ checks, isNew }) => {
    for (const invariant of INVARIANTS) {
      const ofInvariant = checks.filter((check) => check.invariant === invariant);
      drift.set(
        ofInvariant.reduce((sum, { offenders }) => sum + offenders, 0),
        { invariant },
      );
      for (const { title, offenders, first } of ofInvariant)
        if (isNew && offenders > 0) emit('ledger_drift', { invariant, title, offenders, first: JSON.stringify(first) });
    }
  };
}
