import type { accounting, ServerInput, ServerResult } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { serviceActor } from '../domain/callers.ts';
import { fingerprintOf } from '../domain/fingerprint.ts';
import { closedHoldBody } from '../domain/hold-state.ts';
import type { CloseHold, Ports } from '../ports.ts';
import { type Agent, type Call, pinnedPrice } from './hold-credits.ts';
import type { Answered } from './once.ts';
import { billOf } from './price-operation.ts';

type ClosedHold = ServerResult<typeof accounting.settleHold>;
type Settlement = ServerInput<typeof accounting.settleHold>['body'];
type Voiding = ServerInput<typeof accounting.voidHold>['body'];
type Deps = Pick<Ports, 'holds' | 'prices' | 'rules' | 'events'>;

/** Charges what was produced, at the price of the hold, and gives the rest back. For ever idempotent. */
export const createSettleHold = (deps: Deps) =>
  async function settleHold(
    agent: Agent,
    holdId: string,
    settlement: Settlement,
    call: Call,
  ): Promise<Answered<ClosedHold>> {
    const priceRuleId = await deps.holds.pinnedRule(holdId, agent.userId);
    if (priceRuleId === undefined) throw new AppError('NOT_FOUND');
    return close(deps, {
      ...closing(agent, holdId, call, ['settle', settlement]),
      cause: 'settle',
      // Without a price it was voided before it came: the answer is that final state.
      ...(priceRuleId === null ? { charge: 0 } : billOf(await pinnedPrice(deps, { priceRuleId }), settlement.units)),
      outcome: settlement.outcome,
      units: settlement.units,
      usageSource: settlement.usageSource,
      rawUsage: settlement.rawUsage,
      metadata: settlement.metadata,
      policy: deps.rules.overrunPolicy,
    });
  };

/**
 * Gives a whole hold back: nothing billable happened. The usage log keeps the reason. A hold that has not arrived yet is closed
 * in advance: its request will be refused.
 */
export const createVoidHold = (deps: Deps) =>
  async function voidHold(
    agent: Agent,
    holdId: string,
    { reason, metadata }: Voiding,
    call: Call,
  ): Promise<Answered<ClosedHold>> {
    return close(deps, {
      ...closing(agent, holdId, call, ['void', reason, metadata]),
      cause: 'void',
      charge: 0,
      outcome: null,
      units: {},
      reason,
      metadata,
      policy: deps.rules.overrunPolicy,
    });
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

async function close({ holds, events }: Deps, request: CloseHold): Promise<Answered<ClosedHold>> {
  const closed = await holds.close(request);
  if (closed.outcome === 'mismatch') throw new AppError('IDEMPOTENCY_KEY_REUSED');
  if (closed.outcome === 'unknown' || closed.outcome === 'alive') throw new AppError('NOT_FOUND');
  const { hold, available, outcome } = closed;
  if (outcome === 'done') events.holdClosed({ cause: request.cause, hold });
  return {
    value: closedHoldBody(hold, { available, alreadyFinal: outcome === 'final' }),
    replayed: outcome === 'same',
  };
}
