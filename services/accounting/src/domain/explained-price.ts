import { chargeSteps, Credits, type Price, Units } from '@tollgate/contracts';
import { roundingMicroOf } from './charge-line.ts';
import type { ExplainedPrice, PriceRule } from './transaction-record.ts';

/** What the books say of an amount. */
export type Booked = Readonly<{
  basis: ExplainedPrice['basis'];
  units: Units;
  usageSource: string | null;
  bookedCredits: number;
  /** Of the charge and of its corrections; null where nothing was rounded for good, or where it was not stored. */
  bookedRounding: readonly (string | null)[] | null;
}>;

/** A plain deduction: each unit of `request` is a credit. */
const PLAIN: Price = {
  ruleId: '00000000-0000-0000-0000-000000000000',
  version: 1,
  mode: 'flat',
  unitPrices: { request: 1_000_000 },
  markupNumerator: 1,
  markupDenominator: 1,
  free: false,
};

/** The steps from units to credits, by the version that the hold is pinned to; null when that is gone. */
export function priceSteps(
  ruleId: string | null,
  rule: PriceRule | undefined,
  { basis, usageSource, bookedCredits, bookedRounding, ...booked }: Booked,
): ExplainedPrice | null {
  if (ruleId !== null && !rule) return null;
  // Units that nobody could have booked were put there by force; they are not worth anything.
  const units = Units.safeParse(booked.units).data ?? {};
  const steps = chargeSteps(rule ?? PLAIN, units);
  return {
    basis,
    units,
    usageSource,
    rule: rule ?? null,
    inputUnits: steps.inputUnits,
    tierAboveInputUnits: steps.tier?.aboveInputUnits ?? null,
    parts: steps.parts.map((part) => ({ ...part, microCredits: String(part.microCredits) })),
    flatMicroCredits: String(steps.flat),
    meteredMicroCredits: String(steps.metered),
    countedMicroCredits: String(steps.counted),
    exactNumerator: String(steps.exact),
    markupDenominator: Number(steps.denominator),
    roundingMicroCredits: roundingMicroOf(steps),
    bookedRoundingMicroCredits: sumOfDecimals(bookedRounding ?? [null]),
    credits: Credits.parse(Math.min(steps.credits, Number.MAX_SAFE_INTEGER)),
    bookedCredits,
  };
}

const DECIMALS = 6;

/** Exactly, and written as PostgreSQL does; null when one is not known. */
export function sumOfDecimals(decimals: readonly (string | null)[]): string | null {
  const known = decimals.filter((decimal) => decimal !== null);
  if (known.length < decimals.length) return null;
  const sum = known.reduce((total, decimal) => total + BigInt(decimal.replace('.', '')), 0n);
  const digits = String(sum < 0n ? -sum : sum).padStart(DECIMALS + 1, '0');
  return `${sum < 0n ? '-' : ''}${digits.slice(0, -DECIMALS)}.${digits.slice(-DECIMALS)}`;
}
