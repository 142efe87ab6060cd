import type { accounting, ServerInput, ServerResult, UserId } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { claimsOf, type Person, serviceActor } from '../domain/callers.ts';
import { fingerprintOf } from '../domain/fingerprint.ts';
import { closedHoldBody, type HoldRecord, openHoldBody } from '../domain/hold-state.ts';
import type { Ports } from '../ports.ts';
import type { Answered } from './once.ts';
import { priceOf } from './price-operation.ts';
import { refusalOf } from './refuse-hold.ts';

/** A service of the platform and the user it acts for; the person is known when the user's own token came along. */
export type Agent = Readonly<{ service: string; userId: UserId; person?: Person | undefined }>;
/** `signal` says when the client has left; who is gone gets no hold. */
export type Call = Readonly<{ key: string; requestId: string; signal?: AbortSignal }>;

type Ask = ServerInput<typeof accounting.holdCredits>['body'];
type Deps = Pick<Ports, 'holds' | 'prices' | 'rules' | 'events'>;

/** Reserves credits for one answer, at most what the units cost and as much of the output as the balance buys. */
export const createHoldCredits = (deps: Deps) =>
  async function holdCredits(
    agent: Agent,
    ask: Ask,
    { key, requestId, signal }: Call,
  ): Promise<Answered<ServerResult<typeof accounting.holdCredits>>> {
    const { holds, rules, events } = deps;
    const request = {
      holdId: ask.holdId,
      claims: agent.person ? claimsOf(agent.person) : { id: agent.userId },
      openedBy: agent.service,
      key,
      fingerprint: fingerprintOf(ask),
      resource: ask.resource,
      workspaceId: agent.person?.workspaceId ?? ask.workspaceId,
      // A key that we verified ourselves is believed before what the calling service says.
      apiKeyId: agent.person?.apiKey?.id ?? ask.apiKeyId,
      price: await priceOf(deps, ask.resource, agent.userId),
      units: ask.units,
      minOutput: ask.minOutput,
      metadata: ask.metadata,
      leaseSeconds: rules.leaseSeconds,
      actor: serviceActor(agent.service),
      requestId,
    };
    const opened = await holds.open(request, signal);
    if (opened.outcome === 'mismatch') throw new AppError('IDEMPOTENCY_KEY_REUSED');
    if (!('hold' in opened)) throw refusalOf(deps, agent.userId, opened);
    if (opened.outcome === 'closed') throw holdClosed(opened.hold, opened.available);
    const { hold, available, outcome } = opened;
    if (outcome === 'opened')
      events.holdOpened({ holdId: hold.holdId, userId: hold.userId, credits: hold.heldCredits, clamped: hold.clamped });
    return { value: openHoldBody(hold, await pinnedPrice(deps, hold), available), replayed: outcome === 'replayed' };
  };

/** The price a hold was opened with, whatever the price of its model is now. */
export async function pinnedPrice({ prices }: Pick<Ports, 'prices'>, hold: Pick<HoldRecord, 'priceRuleId'>) {
  const price = hold.priceRuleId === null ? undefined : await prices.byId(hold.priceRuleId);
  if (!price) throw new AppError('NOT_FOUND');
  return price;
}

/** 409 with the final state, so that the caller need not ask for it. */
export const holdClosed = (hold: HoldRecord, available: number): AppError =>
  new AppError('HOLD_CLOSED', undefined, { extra: { hold: closedHoldBody(hold, { available, alreadyFinal: true }) } });
