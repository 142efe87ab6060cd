import {
  chargeSteps,
  type ChargeSteps,
  type Price,
  type UnitClass,
  type Units,
  UNIT_CLASSES,
  unitPricesFor,
} from '@tollgate/contracts';

/**
 * A charge as a function of the output units alone, so that the database can clamp a hold in the same step that takes it:
 * `charge(output) = ceil(max(flat, base + output × slope) / divisor)`. All parts are whole numbers ≥ 0.
 */
export type ChargeLine = Readonly<{ flat: bigint; base: bigint; slope: bigint; divisor: bigint }>;

const MICRO = 1_000_000n;

/**
 * The line of a price through given units; at `units.output` it is exactly `chargeFor`. Output is no input, so that the whole line
 * lies in one tier.
 */
export function chargeLine(price: Price, units: Units): ChargeLine {
  if (price.free) return { flat: 0n, base: 0n, slope: 0n, divisor: 1n };
  const prices = unitPricesFor(price, units);
  const worth = (unit: UnitClass): bigint => BigInt(units[unit] ?? 0) * BigInt(prices[unit] ?? 0);
  const request = worth('request');
  const metered = UNIT_CLASSES.filter((unit) => unit !== 'request' && unit !== 'output').reduce(
    (sum, unit) => sum + worth(unit),
    0n,
  );
  const perOutput = BigInt(prices.output ?? 0);
  const parts = {
    flat: { flat: request, base: 0n, slope: 0n },
    metered: { flat: 0n, base: metered, slope: perOutput },
    flat_plus_metered: { flat: 0n, base: request + metered, slope: perOutput },
    max: { flat: request, base: metered, slope: perOutput },
  }[price.mode];
  const markup = BigInt(price.markupNumerator);
  return {
    flat: parts.flat * markup,
    base: parts.base * markup,
    slope: parts.slope * markup,
    divisor: MICRO * BigInt(price.markupDenominator),
  };
}

/** What a request costs, and what the rounding up was: micro-credits with six decimals, as PostgreSQL writes them. */
export type Bill = Readonly<{ charge: number; roundingMicro: string }>;

/** The bill for units, or undefined when it is beyond the largest amount that can be booked. */
export function payableBill(price: Price, units: Units): Bill | undefined {
  const steps = chargeSteps(price, units);
  return Number.isSafeInteger(steps.credits)
    ? { charge: steps.credits, roundingMicro: roundingMicroOf(steps) }
    : undefined;
}

const DECIMALS = 6;

/** Cut and not rounded, so that it stays below a credit. */
export function roundingMicroOf({ rounding, denominator }: Pick<ChargeSteps, 'rounding' | 'denominator'>): string {
  const digits = String((rounding * MICRO) / denominator).padStart(DECIMALS + 1, '0');
  return `${digits.slice(0, -DECIMALS)}.${digits.slice(-DECIMALS)}`;
}
