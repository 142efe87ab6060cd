import { AppError } from '@tollgate/http-kit';
import { actorOf, type Person } from '../domain/callers.ts';
import type { Adjusted, Ports } from '../ports.ts';
import { isOutOfReach, requireMayMove, tellOverstepping } from './allocate-credits.ts';
import type { Answered, OneTime, Once } from './once.ts';

export type Adjustment = Readonly<{
  /** Id, user name or e-mail address. */
  of: string;
  /** Either a change, or the balance to reach. */
  change?: number;
  target?: number;
  expiryDays?: number | null;
  reason: string;
  requestId: string;
}>;
export type AdjustedBalance = Readonly<{ userId: string; previous: number; current: number }>;

type Deps = Pick<Ports, 'events' | 'rules'> & { once: Once };

/** Corrects a balance by one transaction of its own kind; lots and history stay. */
export const createAdjustCredits = ({ events, rules, once }: Deps) =>
  async function adjustCredits(
    caller: Person,
    request: OneTime,
    adjustment: Adjustment,
  ): Promise<Answered<AdjustedBalance>> {
    const { of, change, target, expiryDays, reason, requestId } = adjustment;
    const actor = actorOf(caller);
    const fact = { actor, of, credits: change ?? target ?? 0, operation: request.operation };
    const attempt = once(request, async (tx) => {
      const account = await tx.findAccount(of);
      const isBeyond = account !== undefined && (await isOutOfReach(tx, caller, account.id, rules));
      if (isBeyond) events.overstepped(fact);
      if (!account || isBeyond) throw new AppError('NOT_FOUND', `User '${of}' not found`);
      requireMayMove(caller, account.id, Math.abs(change ?? 0), rules.supervisorCap);
      const adjusted = await tx.adjust({
        userId: account.id,
        ...(change !== undefined && { change }),
        ...(target !== undefined && { target }),
        ...(caller.role !== 'admin' && { largestChange: rules.supervisorCap }),
        expiryDays: expiryDays ?? null,
        actor,
        requestId,
        reason,
      });
      refuseUnadjusted(adjusted, rules.supervisorCap);
      return { userId: account.id, previous: adjusted.previous, current: adjusted.current };
    });
    const answer = await tellOverstepping(attempt, events, fact);
    const { userId, previous, current } = answer.value;
    const balances = { from: previous, to: current };
    if (!answer.replayed) events.moved({ kind: 'adjusted', userId, credits: current - previous, actor, ...balances });
    return answer;
  };

function refuseUnadjusted({ outcome, previous }: Adjusted, cap: number): void {
  if (outcome === 'unknown') throw new AppError('NOT_FOUND');
  if (outcome === 'negative') throw new AppError('NEGATIVE_RESULT', `The user has only ${previous} credits`);
  if (outcome === 'capped')
    throw new AppError('ALLOCATION_CAP_EXCEEDED', `You may move at most ${cap} credits at a time`);
  if (outcome === 'too_much') throw new AppError('INVALID_AMOUNT', 'The balance would be larger than can be booked');
}

/** Takes back what remains of a lot. Repeating it changes nothing. */
export const createRevokeAllocation = ({ transaction, events }: Pick<Ports, 'transaction' | 'events'>) =>
  async function revokeAllocation(caller: Person, lotId: number, requestId: string) {
    const actor = actorOf(caller);
    const revoked = await transaction((tx) => tx.revoke(lotId, { actor, requestId }));
    if (!revoked) throw new AppError('NOT_FOUND');
    events.moved({ kind: 'revoked', userId: revoked.userId, credits: revoked.revoked, actor });
    return revoked;
  };
