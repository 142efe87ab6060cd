import { AppError } from '@tollgate/http-kit';
import { actorOf, type Person } from '../../domain/callers.ts';
import type { Ports, Refund } from '../../ports.ts';
import type { Answered, OneTime, Once } from '../once.ts';

type Ask = Omit<Refund, 'actor'>;
/** A refund as it is stored for repetitions: plain JSON. */
export type RefundedCharge = Readonly<{
  id: number;
  userId: string;
  holdId: string;
  transactionId: number;
  debtRepaid: number;
  graceLot: { id: number; credits: number; expiresAt: string } | null;
  refundable: number;
  available: number;
}>;

/** Gives back part of a charge. All refunds of one charge together never exceed it, however many people refund at once. */
export const createRefundCharge = ({ events, once }: Pick<Ports, 'events'> & { once: Once }) =>
  async function refundCharge(caller: Person, request: OneTime, ask: Ask): Promise<Answered<RefundedCharge>> {
    const actor = actorOf(caller);
    const answer = await once(request, async (tx): Promise<RefundedCharge> => {
      const refunded = await tx.refund({ ...ask, actor });
      if (refunded.outcome === 'unknown') throw new AppError('NOT_FOUND', 'There is no such charge');
      if (refunded.outcome === 'excess') {
        const { refundable } = refunded;
        throw new AppError('REFUND_EXCEEDS_CHARGE', `Only ${refundable} credits of this charge are left to refund`, {
          extra: { refundableCredits: refundable },
        });
      }
      const { outcome: _, graceLot, ...rest } = refunded;
      return { ...rest, graceLot: graceLot && { ...graceLot, expiresAt: graceLot.expiresAt.toISOString() } };
    });
    if (!answer.replayed) events.moved({ kind: 'refunded', userId: answer.value.userId, credits: ask.credits, actor });
    return answer;
  };
