import type { accounting, ServerInput, ServerResult, Units } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { serviceActor } from '../domain/callers.ts';
import { closedHoldBody, openHoldBody } from '../domain/hold-state.ts';
import type { Ports } from '../ports.ts';
import { type Agent, holdClosed, pinnedPrice } from './hold-credits.ts';
import { priceOf } from './price-operation.ts';
import { blockedError, refusalOf } from './refuse-hold.ts';

type Extension = ServerInput<typeof accounting.extendHold>['body'] & Readonly<{ holdId: string; requestId: string }>;

/**
 * Raises a hold to what more units cost, or with `minOutput` to as much of them as the balance buys; else nothing happens.
 * Repeating it changes nothing. With a `resource` the answer will come from that instead, at its price of now.
 */
export const createExtendHold = (deps: Pick<Ports, 'holds' | 'prices' | 'events'>) =>
  async function extendHold(
    agent: Agent,
    { holdId, fence, units, minOutput, resource, requestId }: Extension,
  ): Promise<ServerResult<typeof accounting.extendHold>> {
    const { holds } = deps;
    const price = resource
      ? await priceOf(deps, resource, agent.userId)
      : await pinnedPrice(deps, { priceRuleId: (await holds.pinnedRule(holdId, agent.userId, true)) ?? null });
    const actor = serviceActor(agent.service);
    const extended = await holds.extend({
      holdId,
      userId: agent.userId,
      openedBy: agent.service,
      fence,
      price,
      units,
      minOutput,
      resource,
      actor,
      requestId,
    });
    if (extended.outcome === 'unknown') throw new AppError('NOT_FOUND');
    if (!('hold' in extended)) throw refusalOf(deps, agent.userId, extended);
    if (extended.outcome === 'closed') throw holdClosed(extended.hold, extended.available);
    if (extended.outcome === 'fenced') throw new AppError('HOLD_FENCED');
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
      holds: renewed.map(({ leaseExpiresAt, reason, ...rest }) => ({
        ...rest,
        leaseExpiresAt: leaseExpiresAt?.toISOString() ?? null,
        ...(reason && { reason }),
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
    if (renewed?.reason) throw blockedError(renewed.reason);
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
