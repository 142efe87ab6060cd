import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  chargeFor,
  chargeSteps,
  INPUT_CLASSES,
  MAX_AMOUNT,
  Price,
  PRICE_MODES,
  UNIT_CLASSES,
  type UnitClass,
  unitPricesFor,
  type UnitPrices,
  type Units,
} from '../src/index.ts';

const BASE: Required<UnitPrices> = {
  request: 250_000,
  input: 300,
  cache_read: 30,
  cache_write_5m: 375,
  cache_write_1h: 600,
  output: 1200,
  reasoning: 1200,
  audio_in: 7,
  audio_out: 11,
  image_in: 13,
  image_out: 17,
  tool_call: 90_000,
};
const pricesBy = (change: (price: number) => number): UnitPrices =>
  Object.fromEntries(Object.entries(BASE).map(([unit, price]) => [unit, change(price)]));
const TIERS = [
  { aboveInputUnits: 1000, unitPrices: { ...pricesBy((price) => price * 2), request: 250_000 } },
  { aboveInputUnits: 2000, unitPrices: pricesBy((price) => price * 3 + 1) },
];
const PLAIN: Price = Price.parse({
  ruleId: '00000000-0000-4000-8000-000000000001',
  version: 1,
  mode: 'metered',
  unitPrices: BASE,
  tiers: TIERS,
  markupNumerator: 1,
  markupDenominator: 1,
  free: false,
});
/** Five hundred units of input beside `input` itself, in every class there is. */
const unitsWith = (input: number): Units => ({
  request: 1,
  input,
  cache_read: 400,
  cache_write_5m: 30,
  cache_write_1h: 20,
  output: 701,
  reasoning: 153,
  audio_in: 25,
  audio_out: 3,
  image_in: 25,
  image_out: 2,
  tool_call: 2,
});

describe('golden vectors: mode × tier × markup, with every class of units', () => {
  // Reckoned apart from this code, with exact fractions.
  it.each<[Price['mode'], number, number, string, number, string]>([
    ['flat', 0, 500, '1/1', 1, '750000.000000'],
    ['flat', 0, 500, '4/3', 1, '666666.666666'],
    ['flat', 0, 500, '1/7', 1, '964285.714285'],
    ['flat', 500, 1000, '1/1', 1, '750000.000000'],
    ['flat', 500, 1000, '4/3', 1, '666666.666666'],
    ['flat', 500, 1000, '1/7', 1, '964285.714285'],
    ['flat', 501, 1001, '1/1', 1, '750000.000000'],
    ['flat', 501, 1001, '4/3', 1, '666666.666666'],
    ['flat', 501, 1001, '1/7', 1, '964285.714285'],
    ['flat', 1500, 2000, '1/1', 1, '750000.000000'],
    ['flat', 1500, 2000, '4/3', 1, '666666.666666'],
    ['flat', 1500, 2000, '1/7', 1, '964285.714285'],
    ['flat', 1501, 2001, '1/1', 1, '249999.000000'],
    ['flat', 1501, 2001, '4/3', 2, '999998.666666'],
    ['flat', 1501, 2001, '1/7', 1, '892857.000000'],
    ['metered', 0, 500, '1/1', 2, '759383.000000'],
    ['metered', 0, 500, '4/3', 2, '345844.000000'],
    ['metered', 0, 500, '1/7', 1, '822769.000000'],
    ['metered', 500, 1000, '1/1', 2, '609383.000000'],
    ['metered', 500, 1000, '4/3', 2, '145844.000000'],
    ['metered', 500, 1000, '1/7', 1, '801340.428571'],
    ['metered', 501, 1001, '1/1', 3, '218166.000000'],
    ['metered', 501, 1001, '4/3', 4, '290888.000000'],
    ['metered', 501, 1001, '1/7', 1, '602595.142857'],
    ['metered', 1500, 2000, '1/1', 4, '618766.000000'],
    ['metered', 1500, 2000, '4/3', 5, '491688.000000'],
    ['metered', 1500, 2000, '1/7', 1, '516966.571428'],
    ['metered', 1501, 2001, '1/1', 6, '924387.000000'],
    ['metered', 1501, 2001, '4/3', 7, '232516.000000'],
    ['metered', 1501, 2001, '1/7', 1, '274912.428571'],
    ['flat_plus_metered', 0, 500, '1/1', 2, '509383.000000'],
    ['flat_plus_metered', 0, 500, '4/3', 2, '12510.666666'],
    ['flat_plus_metered', 0, 500, '1/7', 1, '787054.714285'],
    ['flat_plus_metered', 500, 1000, '1/1', 2, '359383.000000'],
    ['flat_plus_metered', 500, 1000, '4/3', 3, '812510.666666'],
    ['flat_plus_metered', 500, 1000, '1/7', 1, '765626.142857'],
    ['flat_plus_metered', 501, 1001, '1/1', 4, '968166.000000'],
    ['flat_plus_metered', 501, 1001, '4/3', 5, '957554.666666'],
    ['flat_plus_metered', 501, 1001, '1/7', 1, '566880.857142'],
    ['flat_plus_metered', 1500, 2000, '1/1', 4, '368766.000000'],
    ['flat_plus_metered', 1500, 2000, '4/3', 5, '158354.666666'],
    ['flat_plus_metered', 1500, 2000, '1/7', 1, '481252.285714'],
    ['flat_plus_metered', 1501, 2001, '1/1', 6, '174386.000000'],
    ['flat_plus_metered', 1501, 2001, '4/3', 8, '232514.666666'],
    ['flat_plus_metered', 1501, 2001, '1/7', 1, '167769.428571'],
    ['max', 0, 500, '1/1', 2, '759383.000000'],
    ['max', 0, 500, '4/3', 2, '345844.000000'],
    ['max', 0, 500, '1/7', 1, '822769.000000'],
    ['max', 500, 1000, '1/1', 2, '609383.000000'],
    ['max', 500, 1000, '4/3', 2, '145844.000000'],
    ['max', 500, 1000, '1/7', 1, '801340.428571'],
    ['max', 501, 1001, '1/1', 3, '218166.000000'],
    ['max', 501, 1001, '4/3', 4, '290888.000000'],
    ['max', 501, 1001, '1/7', 1, '602595.142857'],
    ['max', 1500, 2000, '1/1', 4, '618766.000000'],
    ['max', 1500, 2000, '4/3', 5, '491688.000000'],
    ['max', 1500, 2000, '1/7', 1, '516966.571428'],
    ['max', 1501, 2001, '1/1', 6, '924387.000000'],
    ['max', 1501, 2001, '4/3', 7, '232516.000000'],
    ['max', 1501, 2001, '1/7', 1, '274912.428571'],
  ])(
    '%s with %d of %d units of input and a markup of %s costs %d',
    (...[mode, input, inputUnits, markup, credits, loss]) => {
      const [numerator, denominator] = markup.split('/').map(Number);
      const price = Price.parse({ ...PLAIN, mode, markupNumerator: numerator, markupDenominator: denominator });
      const steps = chargeSteps(price, unitsWith(input));
      expect([chargeFor(price, unitsWith(input)), steps.credits, steps.inputUnits]).toEqual([
        credits,
        credits,
        inputUnits,
      ]);
      const micro = (steps.rounding * 1_000_000n) / steps.denominator;
      expect(`${micro / 1_000_000n}.${String(micro % 1_000_000n).padStart(6, '0')}`).toBe(loss);
    },
  );

  it('name each step', () => {
    expect(chargeSteps({ ...PLAIN, markupNumerator: 4, markupDenominator: 3 }, { input: 1001, reasoning: 2 })).toEqual({
      inputUnits: 1001,
      tier: TIERS[0],
      parts: [
        { unit: 'input', units: 1001, unitPrice: 600, microCredits: 600_600n },
        { unit: 'reasoning', units: 2, unitPrice: 2400, microCredits: 4800n },
      ],
      flat: 0n,
      metered: 605_400n,
      counted: 605_400n,
      exact: 2_421_600n,
      rounding: 578_400n,
      denominator: 3n,
      credits: 1,
    });
  });

  it('begin a tier above its bound and not at it, whichever class of input fills it', () => {
    for (const unit of INPUT_CLASSES) {
      expect(chargeSteps(PLAIN, { [unit]: 1000 }).tier).toBeUndefined();
      expect(chargeSteps(PLAIN, { [unit]: 1001 }).tier).toEqual(TIERS[0]);
      expect(chargeSteps(PLAIN, { [unit]: 2000 }).tier).toEqual(TIERS[0]);
      expect(unitPricesFor(PLAIN, { [unit]: 2001 })).toEqual(TIERS[1]?.unitPrices);
    }
    const others = UNIT_CLASSES.filter((unit) => !(INPUT_CLASSES as readonly UnitClass[]).includes(unit));
    expect(others).toEqual(['request', 'output', 'reasoning', 'audio_out', 'image_out', 'tool_call']);
    for (const unit of others) expect(unitPricesFor(PLAIN, { [unit]: 5000 })).toEqual(BASE);
  });

  it('of a free price are all nothing, in whatever mode and tier', () => {
    for (const mode of PRICE_MODES) {
      const free = { ...PLAIN, mode, free: true };
      expect(chargeSteps(free, unitsWith(5000))).toMatchObject({
        credits: 0,
        rounding: 0n,
        tier: undefined,
        counted: 0n,
      });
      expect(unitPricesFor(free, unitsWith(5000))).toEqual({});
    }
  });

  it('without tiers know one level only', () => {
    const { tiers: _tiers, ...flat } = PLAIN;
    expect(unitPricesFor(flat, { input: MAX_AMOUNT })).toEqual(BASE);
    expect(unitPricesFor({ ...flat, tiers: [] }, { input: MAX_AMOUNT })).toEqual(BASE);
  });
});

/** The seed is another one each time; fast-check prints it with a counter-example. */
const RUNS = { numRuns: 500 };

const amounts = (max: number) =>
  fc.record(
    Object.fromEntries(UNIT_CLASSES.map((unit) => [unit, fc.integer({ min: 0, max })])) as Record<
      UnitClass,
      fc.Arbitrary<number>
    >,
    { requiredKeys: [], noNullPrototype: true },
  );
/** Any price that may be written: tiers rise, and none is cheaper in any class. */
const price: fc.Arbitrary<Price> = fc
  .record({
    mode: fc.constantFrom(...PRICE_MODES),
    unitPrices: amounts(2_000_000),
    steps: fc.array(fc.record({ more: fc.integer({ min: 1, max: 1500 }), dearer: amounts(1_000_000) }), {
      maxLength: 3,
    }),
    markupNumerator: fc.integer({ min: 1, max: 1_000_000 }),
    markupDenominator: fc.integer({ min: 1, max: 1_000_000 }),
    free: fc.integer({ min: 0, max: 9 }).map((die) => die === 0),
  })
  .map(({ steps, ...rest }) => {
    let [above, prices]: [number, UnitPrices] = [0, rest.unitPrices];
    const tiers = steps.map(({ more, dearer }) => {
      above += more;
      prices = Object.fromEntries(UNIT_CLASSES.map((unit) => [unit, (prices[unit] ?? 0) + (dearer[unit] ?? 0)]));
      return { aboveInputUnits: above, unitPrices: prices };
    });
    return Price.parse({ ...PLAIN, ...rest, tiers });
  });
const units = amounts(3000);

describe('a charge by any price that may be written', () => {
  it('is never negative, and whole', () => {
    fc.assert(
      fc.property(
        price,
        units,
        (rule, used) => Number.isSafeInteger(chargeFor(rule, used)) && chargeFor(rule, used) >= 0,
      ),
      RUNS,
    );
  });

  it('never falls when more of any class is used, across tiers too', () => {
    fc.assert(
      fc.property(price, units, fc.constantFrom(...UNIT_CLASSES), fc.integer({ min: 1, max: 4000 }), (...drawn) => {
        const [rule, used, unit, more] = drawn;
        return chargeFor(rule, { ...used, [unit]: (used[unit] ?? 0) + more }) >= chargeFor(rule, used);
      }),
      RUNS,
    );
  });

  it('is its parts, by the mode, with the markup and the rounding, to the last fraction of a micro-credit', () => {
    fc.assert(
      fc.property(price, units, (rule, used) => {
        const steps = chargeSteps(rule, used);
        const sum = (isFlat: boolean) =>
          steps.parts
            .filter(({ unit }) => (unit === 'request') === isFlat)
            .reduce((total, part) => total + BigInt(part.units) * BigInt(part.unitPrice), 0n);
        const [flat, metered] = [sum(true), sum(false)];
        const counted = { flat, metered, flat_plus_metered: flat + metered, max: flat > metered ? flat : metered };
        expect([steps.flat, steps.metered, steps.counted]).toEqual([flat, metered, counted[rule.mode]]);
        const denominator = BigInt(rule.markupDenominator);
        const whole = BigInt(steps.credits) * 1_000_000n * denominator;
        expect(steps.counted * BigInt(rule.markupNumerator) + steps.rounding).toBe(whole);
        expect(steps.rounding >= 0n && steps.rounding < 1_000_000n * denominator).toBe(true);
      }),
      RUNS,
    );
  });

  it('has a part for each class that was used, and for no other', () => {
    fc.assert(
      fc.property(price, units, (rule, used) => {
        const parts = chargeSteps(rule, used).parts.map((part) => [part.unit, part.units]);
        expect(parts).toEqual(UNIT_CLASSES.filter((unit) => used[unit]).map((unit) => [unit, used[unit]]));
      }),
      RUNS,
    );
  });

  it('is nothing when nothing billable was used', () => {
    const nothing = Object.fromEntries(UNIT_CLASSES.map((unit) => [unit, 0]));
    fc.assert(
      fc.property(price, (rule) => chargeFor(rule, {}) === 0 && chargeFor(rule, nothing) === 0),
      RUNS,
    );
  });

  it('is never more than what was held for more input and more output', () => {
    fc.assert(
      fc.property(price, units, units, (rule, used, reserve) => {
        const held = Object.fromEntries(UNIT_CLASSES.map((unit) => [unit, (used[unit] ?? 0) + (reserve[unit] ?? 0)]));
        return chargeFor(rule, used) <= chargeFor(rule, held);
      }),
      RUNS,
    );
  });
});
