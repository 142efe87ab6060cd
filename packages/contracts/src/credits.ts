import { z } from 'zod';

/** The largest amount one call may name: 2^31-1 credits. Balances reach 2^53-1, the largest safe JSON integer. */
export const MAX_AMOUNT = 2 ** 31 - 1;

const isCredits = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/** A number of credits ≥ 0: whole, at most 2^53-1. BIGINT in PostgreSQL. */
export const Credits = z
  .number()
  .refine(isCredits, { error: 'must be a whole number of credits', params: { code: 'INVALID_AMOUNT' } })
  .meta({ type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
  .brand<'Credits'>();
export type Credits = z.infer<typeof Credits>;

/** An amount to move: 1..2^31-1. A number outside of it is 422 INVALID_AMOUNT; what is not a JSON number is 400. */
export const Amount = z
  .number()
  .refine((value) => Number.isInteger(value) && value >= 1 && value <= MAX_AMOUNT, {
    error: `must be a whole number from 1 to ${MAX_AMOUNT}`,
    params: { code: 'INVALID_AMOUNT' },
  })
  .meta({ type: 'integer', minimum: 1, maximum: MAX_AMOUNT })
  .brand<'Credits'>();

/** A correction: whole, not 0, within ±(2^31-1). */
export const Adjustment = z
  .number()
  .refine((value) => Number.isInteger(value) && value !== 0 && Math.abs(value) <= MAX_AMOUNT, {
    error: 'must be a whole number other than 0',
    params: { code: 'INVALID_AMOUNT' },
  })
  .meta({ type: 'integer', minimum: -MAX_AMOUNT, maximum: MAX_AMOUNT });

/** A target balance: 0..2^31-1. */
export const TargetBalance = z
  .number()
  .refine((value) => Number.isInteger(value) && value >= 0 && value <= MAX_AMOUNT, {
    error: `must be a whole number from 0 to ${MAX_AMOUNT}`,
    params: { code: 'INVALID_AMOUNT' },
  })
  .meta({ type: 'integer', minimum: 0, maximum: MAX_AMOUNT })
  .brand<'Credits'>();

/** What can be billed. The classes are disjoint: a cached input token is `cache_read` and not `input`. */
export const UNIT_CLASSES = [
  'request',
  'input',
  'cache_read',
  'cache_write_5m',
  'cache_write_1h',
  'output',
  'reasoning',
  'audio_in',
  'audio_out',
  'image_in',
  'image_out',
  'tool_call',
] as const;
export type UnitClass = (typeof UNIT_CLASSES)[number];

const Count = z.int().min(0).max(MAX_AMOUNT);

/** Units per class; an absent class is not known, 0 is 0. */
export const Units = z.partialRecord(z.enum(UNIT_CLASSES), Count);
export type Units = z.infer<typeof Units>;

/** Whole micro-credits (1/1,000,000 credit) for one unit of a class; at most 1,000 credits a unit. */
export const UnitPrices = z.partialRecord(z.enum(UNIT_CLASSES), z.int().min(0).max(1_000_000_000));
export type UnitPrices = z.infer<typeof UnitPrices>;

export const PRICE_MODES = ['flat', 'metered', 'flat_plus_metered', 'max'] as const;

/** A price as it is pinned on a hold: whoever charges by it later gets the same figure. */
export const Price = z.object({
  ruleId: z.uuid(),
  version: z.int().min(1),
  mode: z.enum(PRICE_MODES),
  unitPrices: UnitPrices,
  markupNumerator: z.int().min(1).max(1_000_000),
  markupDenominator: z.int().min(1).max(1_000_000),
  free: z.boolean(),
});
export type Price = z.infer<typeof Price>;

const MICRO = 1_000_000n;

/**
 * The charge for one request, in whole credits: ceil(Σ units × price × markup / 1,000,000), rounded up once, at the end.
 * `flat` counts only the `request` class, `metered` all the others, `max` the dearer of the two.
 * No billable unit, or a free price: 0. Never negative. (credits.md, Units and price)
 */
export function chargeFor(price: Price, units: Units): Credits {
  if (price.free) return 0 as Credits;
  const flat = microCredits(price, units, ['request']);
  const metered = microCredits(
    price,
    units,
    UNIT_CLASSES.filter((unit) => unit !== 'request'),
  );
  const micro = { flat, metered, flat_plus_metered: flat + metered, max: flat > metered ? flat : metered }[price.mode];
  const divisor = MICRO * BigInt(price.markupDenominator);
  return Number((micro * BigInt(price.markupNumerator) + divisor - 1n) / divisor) as Credits;
}

function microCredits(price: Price, units: Units, classes: readonly UnitClass[]): bigint {
  return classes.reduce((sum, unit) => sum + BigInt(units[unit] ?? 0) * BigInt(price.unitPrices[unit] ?? 0), 0n);
}
