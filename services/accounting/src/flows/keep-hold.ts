import type { accounting, ServerInput, ServerResult, Units } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { serviceActor } from '../domain/callers.ts';
import { closedHoldBody, openHoldBody } from '../domain/hold-state.ts';
import type { Ports } from '../ports.ts';
import { type Agent, holdClosed, insufficient, pinnedPrice } from './hold-credits.ts';

type Extension = Readonly<{
  holdId: string;
  fence: number;
  units: Units;
  minOutput?: number | undefined;
  requestId: string;
}>;

/**
 * Raises a hold to what more units cost, or with `minOutput` to as much of them as the balance buys; else nothing happens.
 * Repeating it changes nothing.
 */
export const createExtendHold = (deps: Pick<Ports, 'holds' | 'prices' | 'events'>) =>
  async function extendHold(
    agent: Agent,
    { holdId, fence, units, minOutput, requestId }: Extension,
  ): Promise<ServerResult<typeof accounting.extendHold>> {
    const { holds, events } = deps;
    const ruleId = await holds.pinnedRule(holdId, agent.userId);
    const price = await pinnedPrice(deps, { priceRuleId: ruleId ?? null });
    const actor = serviceActor(agent.service);
    const extended = await holds.extend({
      holdId,
      userId: agent.userId,
      openedBy: agent.service,
      fence,
      price,
      units,
      minOutput,
      actor,
      requestId,
    });
    if (extended.outcome === 'unknown') throw new AppError('NOT_FOUND');
    if (extended.outcome === 'closed') throw holdClosed(extended.hold, extended.available);
    if (extended.outcome === 'fenced') throw new AppError('HOLD_FENCED');
    if (extended.outcome === 'short') throw insufficient(events, agent.userId, extended.available);
    return openHoldBody(extended.hold, price, extended.available);
  };

/** Renews the leases of many holds at once; each has an outcome of its own. */
export const createRenewHolds = ({ holds, rules }: Pick<Ports, 'holds' | 'rules'>) =>
  async function renewHolds(
    service: string,
    { holds: renewals }: ServerInput<typeof accounting.renewHolds>['body'],
  ): Promise<ServerResult<typeof accounting.renewHolds>> {
    const own = renewals.map((renewal) => ({ ...renewal, openedBy: service }));
    const renewed = await holds.renew(own, rules.leaseSeconds);
    return {
      holds: renewed.map(({ leaseExpiresAt, ...rest }) => ({
        ...rest,
        leaseExpiresAt: leaseExpiresAt?.toISOString() ?? null,
      })),
    };
  };

type OneRenewal = Readonly<{ holdId: string; fence: number; checkpoint?: Units | undefined }>;

/** Renews the lease of one hold of the user. */
export const createRenewHold = ({ holds, rules }: Pick<Ports, 'holds' | 'rules'>) =>
  async function renewHold(agent: Agent, renewal: OneRenewal): Promise<ServerResult<typeof accounting.renewHold>> {
    const { service: openedBy, userId } = agent;
    const [renewed] = await holds.renew([{ ...renewal, openedBy, userId }], rules.leaseSeconds);
    if (renewed?.outcome === 'closed') throw new AppError('HOLD_CLOSED');
    if (renewed?.outcome === 'fenced') throw new AppError('HOLD_FENCED');
    if (!renewed?.leaseExpiresAt) throw new AppError('NOT_FOUND');
    return { holdId: renewed.holdId, leaseExpiresAt: renewed.leaseExpiresAt.toISOString() };
  };

/** The state of a hold of the user, open or final. */
export const createReadHold = (deps: Pick<Ports, 'holds' | 'prices'>) =>
  async function readHold(agent: Agent, holdId: string): Promise<ServerResult<typeof accounting.readHold>> {
    const found = await deps.holds.find(holdId, agent.userId);
    if (!found) throw new AppError('NOT_FOUND');
    const { hold, available } = found;
    if (hold.status !== 'active') return closedHoldBody(hold, { available, alreadyFinal: true });
    return openHoldBody(hold, await pinnedPrice(deps, hold), available);
  };
