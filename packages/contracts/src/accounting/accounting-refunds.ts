import { z } from 'zod';
import { line } from './accounting-text.ts';
import { Amount, Credits } from '../credits.ts';
import { HoldId, Timestamp } from '../ids.ts';
import { operation } from '../operation.ts';

export const refundCharge = operation({
  id: 'refundCharge',
  method: 'POST',
  path: '/api/credits/refunds',
  summary: 'Give back part of a charge, with a reason; all refunds of a charge together are at most the charge',
  permission: 'credits:refund',
  idempotencyKey: 'required',
  status: 201,
  body: z
    .strictObject({
      /** The transaction that charged, or the hold it belongs to. */
      transactionId: z.int().min(1).optional(),
      holdId: HoldId.optional(),
      credits: Amount,
      reason: line(500),
    })
    .refine(
      ({ transactionId, holdId }) => (transactionId === undefined) !== (holdId === undefined),
      'needs either transactionId or holdId',
    ),
  result: z.object({
    id: z.int(),
    userId: z.string(),
    holdId: HoldId,
    transactionId: z.int(),
    credits: Credits,
    /** Part that repaid a debt of the user. */
    debtRepaid: Credits,
    /** The new lot for what came from lots that are over, with the grace it has; null: all went back to its own lots. */
    graceLot: z.object({ id: z.int(), credits: Credits, expiresAt: Timestamp }).nullable(),
    /** What may still be refunded of this charge. */
    refundableCredits: Credits,
    /** What the user can spend now. */
    availableCredits: Credits,
  }),
  errors: ['NOT_FOUND', 'REFUND_EXCEEDS_CHARGE', 'IDEMPOTENCY_IN_PROGRESS', 'IDEMPOTENCY_KEY_REUSED'],
});
