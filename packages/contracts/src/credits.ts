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

/** The sanity bound of a price in micro-credits (1/1,000,000 credit): 1,000 credits for one unit, markup included. */
export const MAX_UNIT_PRICE = 1_000_000_000;
/** Largest numerator and denominator of a markup. */
export const MAX_MARKUP_PART = 1_000_000;
/** The sanity bound of a markup: a thousandfold. */
export const MAX_MARKUP = 1000;
export const MAX_TIERS = 8;

/** Whole micro-credits for one unit of a class. */
export const UnitPrices = z.partialRecord(z.enum(UNIT_CLASSES), z.int().min(0).max(MAX_UNIT_PRICE));
export type UnitPrices = z.infer<typeof UnitPrices>;

/** What fills a model's context; the sum of these classes chooses the tier. */
export const INPUT_CLASSES = [
  'input',
  'cache_read',
  'cache_write_5m',
  'cache_write_1h',
  'audio_in',
  'image_in',
] as const satisfies readonly UnitClass[];

/** The prices of a whole request whose input is more than so many units; they stand in place of those below. */
export const PriceTier = z.object({ aboveInputUnits: z.int().min(1).max(MAX_AMOUNT), unitPrices: UnitPrices });
export type PriceTier = z.infer<typeof PriceTier>;

export const PRICE_MODES = ['flat', 'metered', 'flat_plus_metered', 'max'] as const;

/** A price as it is pinned on a hold: whoever charges by it later gets the same figure. */
export const Price = z.object({
  ruleId: z.uuid(),
  version: z.int().min(1),
  mode: z.enum(PRICE_MODES),
  unitPrices: UnitPrices,
  /** By rising bound; none is cheaper than the one below it in any class, so that less input never costs more. */
  tiers: z.array(PriceTier).max(MAX_TIERS).optional(),
  markupNumerator: z.int().min(1).max(MAX_MARKUP_PART),
  markupDenominator: z.int().min(1).max(MAX_MARKUP_PART),
  free: z.boolean(),
});
export type Price = z.infer<typeof Price>;

const MICRO = 1_000_000n;

/** What one class adds to a charge. */
export type ChargePart = Readonly<{ unit: UnitClass; units: number; unitPrice: number; microCredits: bigint }>;

/** How a charge came about, in the order in which it is reckoned. Sums are micro-credits. */
export type ChargeSteps = Readonly<{
  inputUnits: number;
  tier: PriceTier | undefined;
  parts: readonly ChargePart[];
  flat: bigint;
  metered: bigint;
  /** What the mode takes of both. */
  counted: bigint;
  /** `counted` × markup, not yet rounded: exact / denominator micro-credits. */
  exact: bigint;
  /** What the one rounding up adds: rounding / denominator micro-credits, less than a credit. */
  rounding: bigint;
  denominator: bigint;
  credits: Credits;
}>;

/**
 * The charge for one request, in whole credits: ceil(Σ units × price × markup / 1,000,000), rounded up once, at the end.
 * `flat` counts only the `request` class, `metered` all the others, `max` the dearer of the two.
 * No billable unit, or a free price: 0. Never negative. (credits.md, Units and price)
 */
export const chargeFor = (price: Price, units: Units): Credits => chargeSteps(price, units).credits;

/** {@link chargeFor}, with every step of it. */
export function chargeSteps(price: Price, units: Units): ChargeSteps {
  const tier = tierFor(price, units);
  const parts = partsOf(unitPricesFor(price, units), units);
  const flat = sumOf(parts.filter(({ unit }) => unit === 'request'));
  const metered = sumOf(parts.filter(({ unit }) => unit !== 'request'));
  const counted = { flat, metered, flat_plus_metered: flat + metered, max: flat > metered ? flat : metered }[
    price.mode
  ];
  const denominator = BigInt(price.markupDenominator);
  const exact = counted * BigInt(price.markupNumerator);
  const divisor = MICRO * denominator;
  const credits = (exact + divisor - 1n) / divisor;
  return {
    inputUnits: inputUnitsOf(units),
    tier,
    parts,
    flat,
    metered,
    counted,
    exact,
    rounding: credits * divisor - exact,
    denominator,
    credits: Number(credits) as Credits, // not negative, because nothing that it comes from is
  };
}

/** The prices that hold for a request: those of the highest tier that its input has passed. Free: none. */
export const unitPricesFor = (price: Price, units: Units): UnitPrices =>
  price.free ? {} : (tierFor(price, units)?.unitPrices ?? price.unitPrices);

const tierFor = ({ free, tiers }: Price, units: Units): PriceTier | undefined =>
  free ? undefined : tiers?.findLast(({ aboveInputUnits }) => inputUnitsOf(units) > aboveInputUnits);

const inputUnitsOf = (units: Units): number => INPUT_CLASSES.reduce((sum, unit) => sum + (units[unit] ?? 0), 0);

function partsOf(prices: UnitPrices, units: Units): ChargePart[] {
  const used = UNIT_CLASSES.filter((unit) => (units[unit] ?? 0) > 0);
  return used.map((unit) => {
    const [count, unitPrice] = [units[unit] ?? 0, prices[unit] ?? 0];
    return { unit, units: count, unitPrice, microCredits: BigInt(count) * BigInt(unitPrice) };
  });
}

const sumOf = (parts: readonly ChargePart[]): bigint => parts.reduce((sum, { microCredits }) => sum + microCredits, 0n);
