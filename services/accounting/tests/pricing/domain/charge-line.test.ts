import { describe, expect, it } from '@jest/globals';
import {
  chargeFor,
  type Price,
  PRICE_MODES,
  UNIT_CLASSES,
  type UnitClass,
  type UnitPrices,
  type Units,
} from '@tollgate/contracts';
import fc from 'fast-check';
import { type ChargeLine, chargeLine, payableBill, roundingMicroOf } from '../../../src/domain/charge-line.ts';

const PLAIN: Price = {
  ruleId: '00000000-0000-4000-8000-000000000001',
  version: 1,
  mode: 'metered',
  unitPrices: {},
  markupNumerator: 1,
  markupDenominator: 1,
  free: false,
};
const amounts = (max: number) =>
  fc.dictionary(fc.constantFrom(...UNIT_CLASSES), fc.integer({ min: 0, max }), {
    noNullPrototype: true,
  }) as fc.Arbitrary<Partial<Record<UnitClass, number>>>;
const price: fc.Arbitrary<Price> = fc
  .record({
    mode: fc.constantFrom(...PRICE_MODES),
    unitPrices: amounts(900_000_000),
    tiers: fc.array(fc.record({ more: fc.integer({ min: 1, max: 2 ** 30 }), dearer: amounts(10_000_000) }), {
      maxLength: 3,
    }),
    markupNumerator: fc.integer({ min: 1, max: 1_000_000 }),
    markupDenominator: fc.integer({ min: 1, max: 1_000_000 }),
    free: fc.boolean(),
  })
  .map(({ tiers, ...rest }) => {
    let [above, prices]: [number, UnitPrices] = [0, rest.unitPrices];
    const rising = tiers.map(({ more, dearer }) => {
      above += more;
      prices = Object.fromEntries(UNIT_CLASSES.map((unit) => [unit, (prices[unit] ?? 0) + (dearer[unit] ?? 0)]));
      return { aboveInputUnits: above, unitPrices: prices };
    });
    return { ...PLAIN, ...rest, tiers: rising };
  });

/** As line_charge() of functions/06-open-hold.sql reckons. */
function chargeAt({ flat, base, slope, divisor }: ChargeLine, output: number): number {
  const micro = base + BigInt(output) * slope;
  return Number(((flat > micro ? flat : micro) + divisor - 1n) / divisor);
}

describe('the line that the database clamps by', () => {
  it('is the charge at every output, for every price, tier and mode', () => {
    fc.assert(
      fc.property(price, amounts(2 ** 31 - 1), fc.integer({ min: 0, max: 2 ** 31 - 1 }), (rule, units, output) => {
        const line = chargeLine(rule, units as Units);
        expect(chargeAt(line, units.output ?? 0)).toBe(chargeFor(rule, units));
        expect(chargeAt(line, output)).toBe(chargeFor(rule, { ...units, output }));
        expect(line.flat >= 0n && line.base >= 0n && line.slope >= 0n && line.divisor > 0n).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  const RULE = {
    ...PLAIN,
    unitPrices: { request: 7, input: 10, output: 100 },
    tiers: [{ aboveInputUnits: 5, unitPrices: { request: 8, input: 20, output: 200 } }],
    markupNumerator: 3,
    markupDenominator: 2,
  };
  const UNITS = { request: 1, input: 6, output: 9 };
  it.each<[Price['mode'], Omit<ChargeLine, 'divisor'>]>([
    ['flat', { flat: 24n, base: 0n, slope: 0n }],
    ['metered', { flat: 0n, base: 360n, slope: 600n }],
    ['flat_plus_metered', { flat: 0n, base: 384n, slope: 600n }],
    ['max', { flat: 24n, base: 360n, slope: 600n }],
  ])('of mode %s has these parts', (mode, parts) => {
    expect(chargeLine({ ...RULE, mode }, UNITS)).toEqual({ ...parts, divisor: 2_000_000n });
  });

  it('of a free price lies at nothing', () => {
    expect(chargeLine({ ...RULE, free: true }, UNITS)).toEqual({ flat: 0n, base: 0n, slope: 0n, divisor: 1n });
  });
});

describe('a bill', () => {
  it.each([
    ['nothing', {}, 1, 1, { charge: 0, roundingMicro: '0.000000' }],
    ['a micro-credit', { output: 1 }, 1, 1, { charge: 1, roundingMicro: '999999.000000' }],
    ['a whole credit', { output: 1_000_000 }, 1, 1, { charge: 1, roundingMicro: '0.000000' }],
    ['the least over a credit', { output: 3_000_001 }, 1, 3, { charge: 2, roundingMicro: '999999.666666' }],
    ['the least of all', { output: 1 }, 1, 1_000_000, { charge: 1, roundingMicro: '999999.999999' }],
    ['a little below a credit', { output: 999_999 }, 1, 1, { charge: 1, roundingMicro: '1.000000' }],
    ['a millionth below', { output: 7 }, 999_999, 7, { charge: 1, roundingMicro: '1.000000' }],
  ])('for %s has its charge and what the rounding was', (...[, units, markupNumerator, markupDenominator, bill]) => {
    const rule = { ...PLAIN, unitPrices: { output: 1 }, markupNumerator, markupDenominator };
    expect(payableBill(rule, units)).toEqual(bill);
  });

  it('writes a fraction below one micro-credit with its zeros', () => {
    expect(roundingMicroOf({ rounding: 1n, denominator: 1_000_000n })).toBe('0.000001');
    expect(roundingMicroOf({ rounding: 1n, denominator: 3n })).toBe('0.333333');
  });

  it('beyond the largest amount that can be booked is none', () => {
    const rule = { ...PLAIN, unitPrices: { output: 1_000_000_000 }, markupNumerator: 1_000_000 };
    expect(payableBill(rule, { output: 9_007_199 })?.charge).toBe(9_007_199_000_000_000);
    expect(payableBill(rule, { output: 9_007_200 })).toBeUndefined();
  });
});
