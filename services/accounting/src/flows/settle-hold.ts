import type { accounting, ServerInput, ServerResult } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { serviceActor } from '../domain/callers.ts';
import { fingerprintOf } from '../domain/fingerprint.ts';
import { closedHoldBody } from '../domain/hold-state.ts';
import type { ClosedRecord, Ports } from '../ports.ts';
import { type Agent, type Call, pinnedPrice } from './hold-credits.ts';
import type { Answered } from './once.ts';
import { billOf } from './price-operation.ts';

type ClosedHold = ServerResult<typeof accounting.settleHold>;
type Settlement = ServerInput<typeof accounting.settleHold>['body'];
type Voiding = ServerInput<typeof accounting.voidHold>['body'];
type Deps = Pick<Ports, 'holds' | 'prices' | 'rules' | 'events'>;

/** How often a settlement looks at the price of a hold that is re-quoted meanwhile. */
const MOST_LOOKS = 10;

/** Charges what was produced, at the price of the hold, and gives the rest back. For ever idempotent. */
export const createSettleHold = (deps: Deps) =>
  async function settleHold(
    agent: Agent,
    holdId: string,
    settlement: Settlement,
    call: Call,
  ): Promise<Answered<ClosedHold>> {
    const settleAt = async (priceRuleId: string | null | undefined): Promise<ClosedRecord> => {
      if (priceRuleId === undefined) throw new AppError('NOT_FOUND');
      // Without a price it was voided before it came: the answer is that final state.
      const bill =
        priceRuleId === null ? { charge: 0 } : billOf(await pinnedPrice(deps, { priceRuleId }), settlement.units);
      return deps.holds.close({ ...request, ...bill, priceRuleId });
    };
    const request = {
      ...closing(agent, holdId, call, ['settle', settlement]),
      cause: 'settle' as const,
      outcome: settlement.outcome,
      units: settlement.units,
      usageSource: settlement.usageSource,
      rawUsage: settlement.rawUsage,
      metadata: settlement.metadata,
      policy: deps.rules.overrunPolicy,
    };
    let closed = await settleAt(await deps.holds.pinnedRule(holdId, agent.userId));
    // Another call has re-quoted it since this one looked.
    for (let looks = 1; closed.outcome === 'repriced' && looks < MOST_LOOKS; looks += 1)
      closed = await settleAt(await deps.holds.pinnedRule(holdId, agent.userId, true));
    // To be asked again; that there is no such hold would end the matter for the caller.
    if (closed.outcome === 'repriced') throw new AppError('DEPENDENCY_UNAVAILABLE');
    return answerOf(deps, 'settle', closed);
  };

/**
 * Gives a whole hold back: nothing billable happened. The usage log keeps the reason. A hold that has not arrived yet is closed
 * in advance: its request will be refused. `unlessActive` closes it in no other way.
 */
export const createVoidHold = (deps: Deps) =>
  async function voidHold(
    agent: Agent,
    holdId: string,
    { reason, refused, unlessActive = false, metadata }: Voiding,
    call: Call,
  ): Promise<Answered<ClosedHold>> {
    const closed = await deps.holds.close({
      ...closing(agent, holdId, call, [unlessActive ? 'bury' : 'void', reason, metadata]),
      cause: unlessActive ? 'bury' : 'void',
      charge: 0,
      outcome: null,
      units: {},
      reason,
      refused,
      metadata,
      policy: deps.rules.overrunPolicy,
    });
    return answerOf(deps, 'void', closed);
  };

const closing = (agent: Agent, holdId: string, { key, requestId }: Call, content: unknown) => ({
  holdId,
  userId: agent.userId,
  openedBy: agent.service,
  key,
  fingerprint: fingerprintOf(content),
  actor: serviceActor(agent.service),
  requestId,
});

function answerOf({ events }: Deps, cause: 'settle' | 'void', closed: ClosedRecord): Answered<ClosedHold> {
  if (closed.outcome === 'mismatch') throw new AppError('IDEMPOTENCY_KEY_REUSED');
  if (closed.outcome === 'alive') throw new AppError('HOLD_ACTIVE');
  if (!('hold' in closed)) throw new AppError('NOT_FOUND');
  const { hold, available, outcome } = closed;
  if (outcome === 'done') events.holdClosed({ cause, hold });
  return {
    value: closedHoldBody(hold, { available, alreadyFinal: outcome === 'final' }),
    replayed: outcome === 'same',
  };
}
