import type { HoldRecord } from '../domain/hold-state.ts';
import type { Ports } from '../ports.ts';
import { pinnedPrice } from './hold-credits.ts';
import { billOf } from './price-operation.ts';

type Deps = Pick<Ports, 'holds' | 'prices' | 'chores' | 'events' | 'rules'>;

/** Few enough to be done within the database's limit for an idle transaction, which holds the lock meanwhile. */
const BATCH = 200;
const MOST_PASSED_OVER = 10_000;

/**
 * Closes holds whose owner has not renewed them: with a checkpoint they are charged for it (`recovered`), without one they are
 * released; with `until`, only those whose lease was over then. True when there may be more.
 */
export const createSweepHolds = (deps: Deps) => {
  /** What could not be closed lately; its turn comes again when everything else is done. */
  const passedOver = new Set<string>();
  return async function sweepHolds(until?: Date): Promise<boolean> {
    let due: HoldRecord[] = [];
    const faults: unknown[] = [];
    await deps.chores.alone('sweep-holds', async () => {
      due = await deps.holds.due(BATCH, [...passedOver], until);
      const sweeps = await Promise.allSettled(due.map((hold) => sweep(deps, hold)));
      // One hold that cannot be closed must not keep the others open, not even when there are many of its kind.
      if (due.length < BATCH || passedOver.size > MOST_PASSED_OVER) passedOver.clear();
      for (const [n, { holdId }] of due.entries()) {
        const result = sweeps[n];
        if (result?.status !== 'rejected') continue;
        passedOver.add(holdId);
        faults.push(result.reason);
      }
    });
    if (faults.length > 0) throw new AggregateError(faults, `${faults.length} holds could not be closed`);
    return due.length === BATCH;
  };
};

async function sweep(deps: Deps, hold: HoldRecord): Promise<void> {
  const units = hold.checkpoint ?? {};
  const swept = await deps.holds.close({
    holdId: hold.holdId,
    userId: hold.userId,
    cause: 'sweep',
    ...(hold.checkpoint === null ? { charge: 0 } : billOf(await pinnedPrice(deps, hold), units)),
    outcome: hold.checkpoint === null ? null : 'recovered',
    units,
    usageSource: 'checkpoint',
    reason: 'lease_ended',
    seenLease: hold.leaseText,
    policy: deps.rules.overrunPolicy,
    priceRuleId: hold.priceRuleId,
    actor: 'system',
    requestId: `sweep:${hold.holdId}`,
  });
  if (swept.outcome === 'done') deps.events.holdClosed({ cause: 'sweep', hold: swept.hold });
}

const ACCOUNTS_AT_ONCE = 100;

/** Books what has lapsed; balances exclude it already. True when there may be more. */
export const createExpireCredits = ({ chores, events }: Pick<Ports, 'chores' | 'events'>) =>
  async function expireCredits(): Promise<boolean> {
    const lots = await chores.expireLots(ACCOUNTS_AT_ONCE);
    if (lots > 0) events.lotsExpired({ lots });
    return lots > 0;
  };

const ROWS_AT_ONCE = 1000;

/** Forgets the answers of idempotency keys that nobody may repeat any more. True when there may be more. */
export const createForgetAnswers = ({ chores, rules }: Pick<Ports, 'chores' | 'rules'>) =>
  async function forgetAnswers(): Promise<boolean> {
    const forgotten = await chores.forgetAnswers(rules.keyRetentionSeconds, ROWS_AT_ONCE);
    return forgotten === ROWS_AT_ONCE;
  };

/** Forgets what counted in windows long past. True when there may be more. */
export const createForgetCounters = ({ chores }: Pick<Ports, 'chores'>) =>
  async function forgetCounters(): Promise<boolean> {
    return (await chores.forgetCounters(ROWS_AT_ONCE)) === ROWS_AT_ONCE;
  };
