import { describe, expect, it } from '@jest/globals';
import { sumOfDecimals } from '../../../src/domain/explained-price.ts';
import { explanationOf } from '../../../src/domain/explanation.ts';
import type { TransactionRecord } from '../../../src/domain/transaction-record.ts';
import {
  USER,
  RULE,
  transaction,
  AVAILABLE,
  HELD,
  DEBT,
  usage,
  HOLD,
  HELD_BEFORE,
  SETTLED,
  SETTLEMENT,
  RESERVATION,
  LOT,
  GRANT,
  EXPIRY,
  REVOCATION,
  ADJUSTMENT,
  withHold,
} from './records.ts';

describe('what was booked as it should be', () => {
  it.each([
    ['a settlement', SETTLEMENT],
    ['a hold', RESERVATION],
    ['a grant', GRANT],
    ['an expiry', EXPIRY],
    ['a revocation', REVOCATION],
    ['an adjustment', ADJUSTMENT],
  ])('has no faults: %s', (_what, record) => {
    expect(explanationOf(record, RULE)).toMatchObject({ matches: true, faults: [] });
  });

  it('is told in steps', () => {
    expect(explanationOf(SETTLEMENT, RULE)).toMatchObject({
      userId: USER,
      transaction: SETTLEMENT.transaction,
      price: {
        basis: 'used',
        units: { request: 1, output: 17 },
        usageSource: 'provider',
        inputUnits: 0,
        tierAboveInputUnits: null,
        flatMicroCredits: '1000000',
        meteredMicroCredits: '1700000',
        countedMicroCredits: '2700000',
        exactNumerator: '2700000',
        markupDenominator: 3,
        roundingMicroCredits: '100000.000000',
        bookedRoundingMicroCredits: '100000.000000',
        credits: 1,
        bookedCredits: 1,
      },
      payment: {
        heldCredits: 10,
        chargedCredits: 1,
        fromHoldCredits: 1,
        overrunCredits: 0,
        writtenOffCredits: 0,
        refundedCredits: 0,
        releasedCredits: 9,
        lapsedCredits: 0,
        lots: HOLD.lots,
      },
      lot: null,
      corrects: null,
      correctedBy: [],
    });
    expect(explanationOf(RESERVATION, RULE)).toMatchObject({
      price: { basis: 'reserved', credits: 10, bookedCredits: 10, usageSource: null, bookedRoundingMicroCredits: null },
      payment: { heldCredits: 10, chargedCredits: 0, fromHoldCredits: 0, overrunCredits: 0, releasedCredits: 0 },
    });
    expect(explanationOf(GRANT, undefined)).toMatchObject({
      price: null,
      payment: null,
      lot: { ...LOT, repaidDebtCredits: 2 },
    });
    expect(explanationOf(REVOCATION, undefined).lot?.repaidDebtCredits).toBe(0);
  });
});

describe('what pays beyond the hold', () => {
  /** 30 cost 40: of the hold 10, of the balance 15, owed 9, nobody 6. */
  const above: TransactionRecord = {
    ...withHold(SETTLEMENT, {
      releasedCredits: 0,
      chargedCredits: 34,
      overrunCredits: 15,
      lots: [{ allocationId: 7, source: 'admin', heldCredits: 10, paidCredits: 25 }],
      usage: [
        {
          ...usage,
          units: { request: 1, output: 1190 },
          credits: 34,
          writtenOffCredits: 6,
          roundingMicro: '0.000000',
        },
      ],
    }),
    transaction: transaction(
      { availableChange: -15, heldChange: -10, debtChange: 9 },
      [AVAILABLE, -15],
      [HELD, -10],
      [DEBT, -9],
      ['revenue', 40],
      ['writeoff', -6],
    ),
    related: [HELD_BEFORE, { ...SETTLED, revenue: 40, writeoff: -6, debtChange: 9 }],
  };

  it('is told apart', () => {
    expect(explanationOf(above, RULE)).toMatchObject({
      faults: [],
      payment: {
        chargedCredits: 40,
        fromHoldCredits: 10,
        overrunCredits: 15,
        debtCredits: 9,
        writtenOffCredits: 6,
        releasedCredits: 0,
      },
    });
  });

  it('is told of a plain deduction too, which has no price', () => {
    const plain = withHold(SETTLEMENT, {
      priceRuleId: null,
      usage: [{ ...usage, units: { request: 1 }, credits: 1, roundingMicro: '0.000000' }],
    });
    const { price, faults } = explanationOf(plain, undefined);
    expect([faults, price?.rule, price?.credits, price?.countedMicroCredits]).toEqual([[], null, 1, '1000000']);
  });
});

describe('a correction', () => {
  const corrected = (type: 'late_settle' | 'refund', more: Partial<TransactionRecord>): TransactionRecord => ({
    ...SETTLEMENT,
    correctsId: 2,
    ...more,
    transaction: { ...transaction({}), ...more.transaction, id: 3, type },
  });
  const LATE = corrected('late_settle', {
    transaction: transaction(
      { availableChange: -2, debtChange: 1 },
      [AVAILABLE, -2],
      [DEBT, -1],
      ['revenue', 4],
      ['writeoff', -1],
    ),
    hold: {
      ...HOLD,
      chargedCredits: 4,
      overrunCredits: 2,
      lots: [{ allocationId: 7, source: 'admin', heldCredits: 10, paidCredits: 3 }],
      usage: [
        ...HOLD.usage,
        {
          ...usage,
          units: { request: 1, output: 135 },
          credits: 3,
          writtenOffCredits: 1,
          roundingMicro: '66666.666666',
          isCorrection: true,
        },
      ],
    },
    related: [
      HELD_BEFORE,
      SETTLED,
      { ...SETTLED, id: 3, type: 'late_settle', correctsId: 2, heldChange: 0, revenue: 4, writeoff: -1, debtChange: 1 },
    ],
  });

  it('upwards is explained together with the charge it corrects', () => {
    expect(explanationOf(LATE, RULE)).toMatchObject({
      faults: [],
      corrects: 2,
      price: { credits: 5, bookedCredits: 5, roundingMicroCredits: '166666.666666' },
      payment: { chargedCredits: 4, overrunCredits: 2, debtCredits: 1, writtenOffCredits: 1, fromHoldCredits: 0 },
    });
  });

  it('is named by what it corrects, which stays explained by what it was', () => {
    const first = { ...SETTLEMENT, hold: LATE.hold, related: LATE.related };
    expect(explanationOf(first, RULE)).toMatchObject({
      matches: true,
      correctedBy: [3],
      price: { credits: 1, bookedCredits: 1, units: { output: 17 } },
    });
  });

  it('downwards goes down to what the payer owes, whatever was written off', () => {
    const refund = corrected('refund', {
      transaction: transaction({ availableChange: 2 }, [AVAILABLE, 2], ['revenue', -2]),
      hold: {
        ...HOLD,
        lots: [{ allocationId: 7, source: 'admin', heldCredits: 10, paidCredits: 2 }],
        usage: [
          {
            ...usage,
            units: { request: 1, output: 100 },
            credits: 3,
            writtenOffCredits: 1,
            roundingMicro: '333333.333333',
          },
          {
            ...usage,
            units: { request: 1, output: 17 },
            credits: -2,
            roundingMicro: '-233333.333333',
            isCorrection: true,
          },
        ],
      },
      related: [
        HELD_BEFORE,
        { ...SETTLED, revenue: 4, writeoff: -1 },
        { ...SETTLED, id: 3, type: 'refund', correctsId: 2, heldChange: 0, revenue: -2, writeoff: 0 },
      ],
    });
    expect(explanationOf(refund, RULE)).toMatchObject({
      faults: [],
      price: { credits: 1, bookedCredits: 1, bookedRoundingMicroCredits: '100000.000000' },
      payment: { chargedCredits: -2, refundedCredits: 2, overrunCredits: 0, writtenOffCredits: 0 },
    });
    const lots = [{ allocationId: 7, source: 'admin', heldCredits: 10, paidCredits: 0 }] as const;
    expect(explanationOf({ ...refund, hold: { ...HOLD, ...refund.hold, lots } }, RULE).faults).toEqual([
      'the lots have not paid what was charged',
    ]);
  });
});

describe('the sum of stored fractions', () => {
  it.each<[(string | null)[], string | null]>([
    [[], '0.000000'],
    [['0.000001'], '0.000001'],
    [['999999.999999', '0.000001'], '1000000.000000'],
    [['285714.285714', '300000.000000'], '585714.285714'],
    [['1.000000', '-1.000001'], '-0.000001'],
    [['1.000000', '-3.500000'], '-2.500000'],
    [['1.000000', null], null],
    [[null], null],
  ])('of %j is %s', (decimals, sum) => {
    expect(sumOfDecimals(decimals)).toBe(sum);
  });
});
