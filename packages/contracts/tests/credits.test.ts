import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { z } from 'zod';
import {
  Adjustment,
  Amount,
  chargeFor,
  Credits,
  MAX_AMOUNT,
  Price,
  PRICE_MODES,
  TargetBalance,
  UNIT_CLASSES,
  Units,
} from '../src/index.ts';

/** What JSON text becomes: the value, the code that one bad amount leads to, or `not a number`. */
function read(schema: z.ZodType, text: string): unknown {
  const result = schema.safeParse(JSON.parse(text));
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  return issue?.code === 'custom' ? (issue.params as { code: string }).code : 'not a number';
}

const notNumbers = ['"10"', 'null', 'true', '[5]', '{"x":1}', '""', '1e309', '-1e309'];
const beyondEveryBound = ['10.5', '1e-3', '9007199254740993', '18446744073709551616', '1e308', '2147483647.5'];

describe('An amount', () => {
  it.each([
    ['1', 1],
    ['2147483647', MAX_AMOUNT],
    ['1e3', 1000],
    ['5.0', 5],
    ['10.5e1', 105],
    ['100e-2', 1],
  ])('written as %s is %i', (text, value) => {
    expect(read(Amount, text)).toBe(value);
  });

  it.each([...beyondEveryBound, '-1', '0', '-0', '2147483648', '0.9999999999999999'])(
    'written as %s is INVALID_AMOUNT',
    (text) => {
      expect(read(Amount, text)).toBe('INVALID_AMOUNT');
    },
  );

  it.each(notNumbers)('is not %s', (text) => {
    for (const schema of [Amount, Credits, TargetBalance, Adjustment]) expect(read(schema, text)).toBe('not a number');
  });

  it('is refused as NaN, bigint and undefined, which no JSON can be', () => {
    for (const schema of [Amount, Credits, TargetBalance, Adjustment])
      for (const value of [Number.NaN, 5n, undefined, new Number(5)])
        expect(schema.safeParse(value).success).toBe(false);
  });
});

describe('The other kinds of credits', () => {
  it('have their own bounds', () => {
    expect(['0', '9007199254740991'].map((text) => read(Credits, text))).toEqual([0, Number.MAX_SAFE_INTEGER]);
    expect(['-1', '0.5', '9007199254740992', '1e300'].map((text) => read(Credits, text))).toEqual(
      Array(4).fill('INVALID_AMOUNT'),
    );
    expect(['0', '2147483647'].map((text) => read(TargetBalance, text))).toEqual([0, MAX_AMOUNT]);
    expect(['-1', '0.5', '2147483648'].map((text) => read(TargetBalance, text))).toEqual(
      Array(3).fill('INVALID_AMOUNT'),
    );
    expect(['-2147483647', '-1', '1', '2147483647'].map((text) => read(Adjustment, text))).toEqual([
      -MAX_AMOUNT,
      -1,
      1,
      MAX_AMOUNT,
    ]);
    expect(['0', '-0', '0.5', '-2147483648', '2147483648'].map((text) => read(Adjustment, text))).toEqual(
      Array(5).fill('INVALID_AMOUNT'),
    );
  });

  it('read a negative zero as nothing but zero', () => {
    for (const schema of [Credits, TargetBalance])
      expect([String(read(schema, '-0')), JSON.stringify(read(schema, '-0'))]).toEqual(['0', '0']);
  });

  it('count units as whole numbers of known classes only', () => {
    expect(Units.parse({ input: 0, output: MAX_AMOUNT })).toEqual({ input: 0, output: MAX_AMOUNT });
    for (const units of [
      { input: -1 },
      { input: 0.5 },
      { input: MAX_AMOUNT + 1 },
      { input: '1' },
      { input: null },
      { tokens: 1 },
      { __proto__x: 1 },
      [],
      null,
    ])
      expect(Units.safeParse(units).success).toBe(false);
  });
});

const plain: Price = Price.parse({
  ruleId: '00000000-0000-4000-8000-000000000001',
  version: 1,
  mode: 'metered',
  unitPrices: {},
  markupNumerator: 1,
  markupDenominator: 1,
  free: false,
});
const priced = (price: Partial<Price>): Price => ({ ...plain, ...price });

describe('A charge', () => {
  const both = { request: 2_500_000, input: 300, output: 1200 };
  it.each<[string, Partial<Price>, Units, number]>([
    ['nothing used is free', { unitPrices: both }, {}, 0],
    ['an explicit zero is free', { unitPrices: both }, { input: 0, output: 0 }, 0],
    ['a class without a price is free', { unitPrices: both }, { audio_in: 5000 }, 0],
    [
      'a free price is free',
      { unitPrices: both, free: true, mode: 'flat_plus_metered' },
      { request: 1, input: 1000 },
      0,
    ],
    ['the smallest part of a credit costs one', { unitPrices: { input: 1 } }, { input: 1 }, 1],
    ['exactly one credit costs one', { unitPrices: { input: 1000 } }, { input: 1000 }, 1],
    ['one micro-credit more costs two', { unitPrices: { input: 1000, output: 1 } }, { input: 1000, output: 1 }, 2],
    [
      'classes are summed before the one rounding',
      { unitPrices: { input: 400_000, output: 400_000 } },
      { input: 1, output: 1 },
      1,
    ],
    ['metered ignores the request', { unitPrices: both }, { request: 1, input: 1000, output: 500 }, 1],
    [
      'flat ignores the tokens',
      { unitPrices: both, mode: 'flat' },
      { request: 1, input: 1_000_000, output: 1_000_000 },
      3,
    ],
    ['flat is not charged without a request', { unitPrices: both, mode: 'flat' }, { input: 1_000_000 }, 0],
    [
      'both are added before the one rounding',
      { unitPrices: both, mode: 'flat_plus_metered' },
      { request: 1, input: 1000, output: 500 },
      4,
    ],
    ['the dearer one: flat', { unitPrices: both, mode: 'max' }, { request: 1, input: 1000, output: 500 }, 3],
    ['the dearer one: metered', { unitPrices: both, mode: 'max' }, { request: 1, input: 10_000, output: 5000 }, 9],
    [
      'the seeded default: one credit per message',
      { unitPrices: { request: 1_000_000 }, mode: 'flat' },
      { request: 1 },
      1,
    ],
    [
      'the seeded default: one credit per thousand tokens',
      { unitPrices: { input: 1000, output: 1000 } },
      { input: 1500, output: 600 },
      3,
    ],
    [
      'a markup of 30 % before the rounding',
      { unitPrices: { input: 1000 }, markupNumerator: 13, markupDenominator: 10 },
      { input: 1000 },
      2,
    ],
    [
      'a markup of a third, without floating point',
      { unitPrices: { input: 1_000_000 }, markupNumerator: 1, markupDenominator: 3 },
      { input: 3 },
      1,
    ],
    [
      'a discount to almost nothing still costs one',
      { unitPrices: { input: 1 }, markupNumerator: 1, markupDenominator: 1_000_000 },
      { input: 1 },
      1,
    ],
    [
      'all classes at once',
      { unitPrices: Object.fromEntries(UNIT_CLASSES.map((unit) => [unit, 1_000_000])), mode: 'flat_plus_metered' },
      Object.fromEntries(UNIT_CLASSES.map((unit) => [unit, 1])),
      12,
    ],
    [
      'intermediate values beyond 2^53 are exact',
      { unitPrices: { output: 999_999_937 } },
      { output: 2_147_483_629 },
      2_147_483_493_709,
    ],
    [
      'one micro-credit beyond 2^53 is not lost',
      { unitPrices: { input: 1_000_000_000, output: 1 } },
      { input: 2_147_483_647, output: 1 },
      2_147_483_647_001,
    ],
  ])('%s', (_rule, price, units, credits) => {
    expect(chargeFor(priced(price), Units.parse(units))).toBe(credits);
  });

  const unitMap = (max: number) =>
    fc.dictionary(fc.constantFrom(...UNIT_CLASSES), fc.integer({ min: 0, max }), {
      noNullPrototype: true,
    }) as fc.Arbitrary<Units>;
  const price = fc
    .record({
      mode: fc.constantFrom(...PRICE_MODES),
      unitPrices: unitMap(1_000_000_000),
      markupNumerator: fc.integer({ min: 1, max: 1000 }),
      markupDenominator: fc.integer({ min: 1, max: 1000 }),
    })
    .map(priced);
  const units = unitMap(1_000_000);

  it('is a whole number of credits and never negative', () => {
    fc.assert(fc.property(price, units, (rule, used) => Credits.safeParse(chargeFor(rule, used)).success));
  });

  it('never falls when more is used', () => {
    fc.assert(
      fc.property(
        price,
        units,
        fc.constantFrom(...UNIT_CLASSES),
        fc.integer({ min: 0, max: 1_000_000 }),
        (rule, used, unit, more) => {
          const greater = { ...used, [unit]: (used[unit] ?? 0) + more };
          return chargeFor(rule, greater) >= chargeFor(rule, used);
        },
      ),
    );
  });

  it('is above the exact price by less than one credit', () => {
    fc.assert(
      fc.property(price, units, (rule, used) => {
        const exact = exactPrice(rule, used);
        const scale = 1_000_000n * BigInt(rule.markupDenominator);
        const loss = BigInt(chargeFor(rule, used)) * scale - exact;
        return loss >= 0n && loss < scale;
      }),
    );
  });

  it('for two answers together is never more than for each of them alone, and at most one credit less', () => {
    fc.assert(
      fc.property(price, units, units, (rule, first, second) => {
        fc.pre(rule.mode !== 'max');
        const together = Object.fromEntries(
          UNIT_CLASSES.map((unit) => [unit, (first[unit] ?? 0) + (second[unit] ?? 0)]),
        );
        const apart = chargeFor(rule, first) + chargeFor(rule, second);
        const joint = chargeFor(rule, together);
        return joint <= apart && apart - joint <= 1;
      }),
    );
  });

  it('is nothing when nothing billable was used, or the price is free', () => {
    fc.assert(
      fc.property(
        price,
        units,
        (rule, used) => chargeFor(rule, {}) === 0 && chargeFor({ ...rule, free: true }, used) === 0,
      ),
    );
  });
});

/** Σ units × price × markup numerator: micro-credits times the denominator, by the definition and nothing else. */
function exactPrice({ mode, unitPrices, markupNumerator }: Price, used: Units): bigint {
  const of = (unit: (typeof UNIT_CLASSES)[number]) => BigInt(used[unit] ?? 0) * BigInt(unitPrices[unit] ?? 0);
  const flat = of('request');
  const metered = UNIT_CLASSES.filter((unit) => unit !== 'request')
    .map(of)
    .reduce((sum, part) => sum + part, 0n);
  const byMode = { flat, metered, flat_plus_metered: flat + metered, max: flat > metered ? flat : metered };
  return byMode[mode] * BigInt(markupNumerator);
}
