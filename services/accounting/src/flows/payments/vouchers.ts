import { AppError } from '@tollgate/http-kit';
import { actorOf, claimsOf, type Person } from '../../domain/callers.ts';
import { VOUCHER_CODE_BYTES, voucherCode, voucherHash } from '../../domain/voucher-code.ts';
import type { LotFilter, Page, Ports } from '../../ports.ts';
import type { Answered, OneTime, Once } from '../once.ts';

type Batch = LotFilter &
  Readonly<{ credits: number; count: number; expiryDays: number | null; redeemableUntil: string }>;
type Made = readonly { id: number; code: string | null }[];
type Voucher = Readonly<{ allocationId: number; credits: number; remainingCredits: number; expiresAt: string | null }>;

/** Makes vouchers. The codes are never stored, not even for a repetition of the request: that one gets the ids alone. */
export const createCreateVouchers = ({
  randomBytes,
  events,
  once,
}: Pick<Ports, 'randomBytes' | 'events'> & { once: Once }) =>
  async function createVouchers(caller: Person, request: OneTime, { count, ...batch }: Batch): Promise<Answered<Made>> {
    const actor = actorOf(caller);
    const codes = Array.from({ length: count }, () => voucherCode(randomBytes(VOUCHER_CODE_BYTES)));
    const answer = await once(request, async (tx) => {
      const ids = await tx.createVouchers({ ...batch, hashes: codes.map(voucherHash), actor });
      if (ids.length < count)
        throw new AppError('INVALID_AMOUNT', 'redeemableUntil must lie within the next ten years');
      return ids;
    });
    if (!answer.replayed) events.vouchersMade({ count, credits: batch.credits, actor });
    const made = answer.value.map((id, n) => ({ id, code: answer.replayed ? null : (codes[n] ?? null) }));
    return { value: made, replayed: answer.replayed };
  };

/** The first to bring a code gets its credits. Tries are few, so that nobody finds a code by guessing. */
export const createRedeemVoucher = ({
  tryVoucher,
  events,
  once,
}: Pick<Ports, 'tryVoucher' | 'events'> & { once: Once }) =>
  async function redeemVoucher(
    caller: Person,
    request: OneTime,
    { code, requestId }: { code: string; requestId: string },
  ): Promise<Answered<Voucher>> {
    await tryVoucher(caller.userId);
    const actor = actorOf(caller);
    const answer = await once(request, async (tx): Promise<Voucher> => {
      const redeemed = await tx.redeemVoucher(claimsOf(caller), voucherHash(code), { actor, requestId });
      if (redeemed.outcome === 'taken') throw new AppError('VOUCHER_REDEEMED');
      if (redeemed.outcome === 'unknown') throw new AppError('NOT_FOUND', 'This voucher is not valid');
      if (redeemed.outcome === 'too_much')
        throw new AppError('INVALID_AMOUNT', 'The balance would be larger than can be booked');
      const { allocationId, credits, remaining, expiresAt } = redeemed;
      return { allocationId, credits, remainingCredits: remaining, expiresAt: expiresAt?.toISOString() ?? null };
    });
    if (!answer.replayed)
      events.moved({ kind: 'redeemed', userId: caller.userId, credits: answer.value.credits, actor });
    return answer;
  };

export const createListVouchers = ({ vouchers }: Pick<Ports, 'vouchers'>) =>
  function listVouchers(page: Page) {
    return vouchers.list(page);
  };

export const createVoidVoucher = ({ vouchers }: Pick<Ports, 'vouchers'>) =>
  async function voidVoucher(caller: Person, id: number): Promise<{ id: number; state: 'voided' }> {
    const outcome = await vouchers.void(id, actorOf(caller));
    if (outcome === 'unknown') throw new AppError('NOT_FOUND');
    if (outcome === 'taken') throw new AppError('VOUCHER_REDEEMED');
    return { id, state: 'voided' };
  };
