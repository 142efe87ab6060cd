import { z } from 'zod';
import { LotExpiryDays, LotFilter } from './accounting-allocations.ts';
import { Amount, Credits } from '../credits.ts';
import { Timestamp } from '../ids.ts';
import { operation, PageQuery } from '../operation.ts';

const MOST_VOUCHERS = 1000;
const Id = z.int().min(1);

const MONEY_ERRORS = ['INVALID_AMOUNT', 'IDEMPOTENCY_IN_PROGRESS', 'IDEMPOTENCY_KEY_REUSED'] as const;

export const createVouchers = operation({
  id: 'createVouchers',
  method: 'POST',
  path: '/api/vouchers',
  summary: 'Make vouchers. Their codes are in this answer only: what is kept is a hash, and a repetition has none',
  permission: 'vouchers:write',
  idempotencyKey: 'required',
  status: 201,
  body: z.strictObject({
    credits: Amount,
    count: z.int().min(1).max(MOST_VOUCHERS).default(1),
    /** Of the lot, from redemption on. */
    expiryDays: LotExpiryDays.default(30),
    redeemableUntil: Timestamp,
    ...LotFilter,
  }),
  result: z.object({ vouchers: z.array(z.object({ id: Id, code: z.string().nullable() })) }),
  errors: MONEY_ERRORS,
});

export const redeemVoucher = operation({
  id: 'redeemVoucher',
  method: 'POST',
  path: '/api/vouchers/redeem',
  summary: 'Turn a voucher into credits of the own account; the first one to bring a code gets them',
  permission: 'vouchers:redeem',
  idempotencyKey: 'required',
  body: z.strictObject({ code: z.string().trim().min(1).max(64) }),
  result: z.object({
    allocationId: Id,
    credits: Credits,
    /** Less than `credits` when a debt was repaid. */
    remainingCredits: Credits,
    expiresAt: Timestamp.nullable(),
  }),
  errors: ['NOT_FOUND', 'VOUCHER_REDEEMED', 'RATE_LIMITED', ...MONEY_ERRORS],
});

export const listVouchers = operation({
  id: 'listVouchers',
  method: 'GET',
  path: '/api/vouchers',
  summary: 'All vouchers, newest first, without their codes',
  permission: 'vouchers:write',
  query: PageQuery,
  result: z.object({
    vouchers: z.array(
      z.object({
        id: Id,
        credits: Credits,
        expiryDays: z.int().nullable(),
        redeemableUntil: Timestamp,
        state: z.enum(['open', 'redeemed', 'voided', 'lapsed']),
        createdBy: z.string(),
        createdAt: Timestamp,
        redeemedBy: z.string().nullable(),
        redeemedAt: Timestamp.nullable(),
        allocationId: Id.nullable(),
      }),
    ),
    nextCursor: z.string().nullable(),
  }),
});

export const voidVoucher = operation({
  id: 'voidVoucher',
  method: 'DELETE',
  path: '/api/vouchers/:id',
  summary: 'Make a voucher worthless that nobody has redeemed. Repeating it changes nothing.',
  permission: 'vouchers:write',
  params: z.strictObject({ id: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER) }),
  result: z.object({ id: Id, state: z.literal('voided') }),
  errors: ['NOT_FOUND', 'VOUCHER_REDEEMED'],
});
