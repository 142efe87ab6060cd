import { z } from 'zod';
import { LOT_SOURCES } from './accounting-allocations.ts';
import { Transaction } from './accounting-credits.ts';
import { PriceRule } from './accounting-pricing.ts';
import { Credits, UNIT_CLASSES, Units } from '../credits.ts';
import { Timestamp } from '../ids.ts';
import { operation } from '../operation.ts';

/** Digits, because such sums pass what a JSON number holds exactly. */
const Digits = z.string();

/** How an amount follows from the pinned price version and the stored units, step by step. */
const ExplainedPrice = z.object({
  /** `used`: what was produced, as it was settled; `reserved`: the most the hold pays for. */
  basis: z.enum(['used', 'reserved']),
  units: Units,
  usageSource: z.string().nullable(),
  /** null: no price at all, but the caller of `deduct` named the credits. */
  rule: PriceRule.nullable(),
  inputUnits: z.int(),
  /** The tier whose prices hold; null: the rule's first prices. */
  tierAboveInputUnits: z.int().nullable(),
  parts: z.array(z.object({ unit: z.enum(UNIT_CLASSES), units: z.int(), unitPrice: z.int(), microCredits: Digits })),
  flatMicroCredits: Digits,
  meteredMicroCredits: Digits,
  /** What the rule's mode takes of both. */
  countedMicroCredits: Digits,
  /** `countedMicroCredits` × markup numerator, to be divided by `markupDenominator`: nothing is rounded yet. */
  exactNumerator: Digits,
  markupDenominator: z.int(),
  /** `credits` × 1,000,000 less the exact figure; six decimals, the rest is cut off. */
  roundingMicroCredits: Digits,
  /** As it was stored when it was booked, corrections included. */
  bookedRoundingMicroCredits: Digits.nullable(),
  /** Recomputed now. */
  credits: Credits,
  /** What the books say it was. */
  bookedCredits: z.int(),
});

/** Who paid what this one transaction moved, and what of the hold each lot has paid. */
const ExplainedPayment = z.object({
  heldCredits: z.int(),
  /** To the revenue; negative for a refund. */
  chargedCredits: z.int(),
  fromHoldCredits: z.int(),
  /** From the balance, beyond the hold. */
  overrunCredits: z.int(),
  /** Owed by the payer from now on; negative: repaid. */
  debtCredits: z.int(),
  writtenOffCredits: z.int(),
  refundedCredits: z.int(),
  releasedCredits: z.int(),
  /** Held by a lot that lapsed or was revoked meanwhile. */
  lapsedCredits: z.int(),
  /** `paidCredits`: all transactions of the hold together, without what went back to the lot. In burn order. Empty: a pool's. */
  lots: z.array(
    z.object({ allocationId: z.int(), source: z.enum(LOT_SOURCES), heldCredits: Credits, paidCredits: Credits }),
  ),
});

const ExplainedLot = z.object({
  allocationId: z.int(),
  source: z.enum(LOT_SOURCES),
  priority: z.int(),
  grantedCredits: Credits,
  remainingCredits: Credits,
  heldCredits: Credits,
  consumedCredits: Credits,
  expiredCredits: Credits,
  revokedCredits: Credits,
  /** Part of a new lot that repaid a debt at once. */
  repaidDebtCredits: Credits,
  effectiveAt: Timestamp,
  expiresAt: Timestamp.nullable(),
  voidedAt: Timestamp.nullable(),
  allocatedBy: z.string(),
  notes: z.string().nullable(),
});

/** null: that of a pool, which is not shown to the member who asked for the answer. */
const ExplainedTransaction = Transaction.extend({
  sequence: Transaction.shape.sequence.nullable(),
  availableAfter: Transaction.shape.availableAfter.nullable(),
  heldAfter: Transaction.shape.heldAfter.nullable(),
});

export const explainTransaction = operation({
  id: 'explainTransaction',
  method: 'GET',
  path: '/api/credits/transactions/:id/explain',
  summary:
    'Recompute a transaction from what is stored and say how it came about: an own one, or one of an own answer that a pool paid; staff may ask for any',
  permission: 'credits:read-own',
  params: z.strictObject({ id: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER) }),
  result: z.object({
    transaction: ExplainedTransaction,
    userId: z.string(),
    /** Whether everything that can be recomputed is what was booked. */
    matches: z.boolean(),
    /** What is not, in words. */
    faults: z.array(z.string()),
    /** Of a hold and of what closed or corrected it. */
    price: ExplainedPrice.nullable(),
    payment: ExplainedPayment.nullable(),
    /** Of a grant, an expiry, a revocation or an adjustment upwards. */
    lot: ExplainedLot.nullable(),
    /** The transaction that this one corrects, and those that correct it. */
    corrects: z.int().nullable(),
    correctedBy: z.array(z.int()),
  }),
  errors: ['NOT_FOUND'],
});
