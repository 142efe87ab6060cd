import type { HoldRecord } from '../domain/hold-state.ts';
import type { Ports } from '../ports.ts';
import { pinnedPrice } from './hold-credits.ts';
import { chargeOf } from './price-operation.ts';

type Deps = Pick<Ports, 'holds' | 'prices' | 'chores' | 'events' | 'rules'>;

/** Few enough to be done within the database's limit for an idle transaction, which holds the lock meanwhile. */
const BATCH = 200;

/**
 * Closes holds whose owner has not renewed them: with a checkpoint they are charged for it (`recovered`), without one they are
 * released. True when there may be more.
 */
export const createSweepHolds = (deps: Deps) =>
  async function sweepHolds(): Promise<boolean> {
    let closed = 0;
    const faults: unknown[] = [];
    await deps.chores.alone('sweep-holds', async () => {
      for (const hold of await deps.holds.due(BATCH)) {
        try {
          closed += await sweep(deps, hold);
        } catch (error) {
          // One hold that cannot be closed must not keep the others open.
          faults.push(error);
        }
      }
    });
    if (faults.length > 0) throw new AggregateError(faults, `${faults.length} holds could not be closed`);
    return closed === BATCH;
  };

async function sweep(deps: Deps, hold: HoldRecord): Promise<number> {
  const units = hold.checkpoint ?? {};
  const swept = await deps.holds.close({
    holdId: hold.holdId,
    cause: 'sweep',
    charge: hold.checkpoint === null ? 0 : chargeOf(await pinnedPrice(deps, hold), units),
    outcome: hold.checkpoint === null ? null : 'recovered',
    units,
    usageSource: 'checkpoint',
    reason: 'lease_ended',
    seenLease: hold.leaseText,
    policy: deps.rules.overrunPolicy,
    actor: 'system',
    requestId: `sweep:${hold.holdId}`,
  });
  if (swept.outcome !== 'done') return 0;
  deps.events.holdClosed({ cause: 'sweep', hold: swept.hold });
  return 1;
}

const ACCOUNTS_AT_ONCE = 100;

/** Books what has lapsed; balances exclude it already. True when there may be more. */
export const createExpireCredits = ({ chores, events }: Pick<Ports, 'chores' | 'events'>) =>
  async function expireCredits(): Promise<boolean> {
    const lots = await chores.expireLots(ACCOUNTS_AT_ONCE);
    if (lots > 0) events.lotsExpired({ lots });
    return lots > 0;
  };

/** Forgets the answers of idempotency keys that nobody may repeat any more. */
export const createForgetAnswers = ({ chores, rules }: Pick<Ports, 'chores' | 'rules'>) =>
  async function forgetAnswers(): Promise<boolean> {
    await chores.forgetAnswers(rules.keyRetentionSeconds);
    return false;
  };
