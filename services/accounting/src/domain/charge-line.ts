import { chargeFor, type Price, type UnitClass, type Units, UNIT_CLASSES } from '@tollgate/contracts';

/**
 * A charge as a function of the output units alone, so that the database can clamp a hold in the same step that takes it:
 * `charge(output) = ceil(max(flat, base + output × slope) / divisor)`. All parts are whole numbers ≥ 0.
 */
export type ChargeLine = Readonly<{ flat: bigint; base: bigint; slope: bigint; divisor: bigint }>;

const MICRO = 1_000_000n;

/** The line of a price through given units; at `units.output` it is exactly {@link chargeFor}. */
export function chargeLine(price: Price, units: Units): ChargeLine {
  if (price.free) return { flat: 0n, base: 0n, slope: 0n, divisor: 1n };
  const worth = (unit: UnitClass): bigint => BigInt(units[unit] ?? 0) * BigInt(price.unitPrices[unit] ?? 0);
  const request = worth('request');
  const metered = UNIT_CLASSES.filter((unit) => unit !== 'request' && unit !== 'output').reduce(
    (sum, unit) => sum + worth(unit),
    0n,
  );
  const perOutput = BigInt(price.unitPrices.output ?? 0);
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

/** The charge for units, or undefined when it is beyond the largest amount that can be booked. */
export function payableCharge(price: Price, units: Units): number | undefined {
  const charge = chargeFor(price, units);
  return Number.isSafeInteger(charge) ? charge : undefined;
}
