import { describe, expect, it } from '@jest/globals';
import { explanationOf } from '../../../src/domain/explanation.ts';
import type { TransactionRecord } from '../../../src/domain/transaction-record.ts';
import {
  RULE,
  AVAILABLE,
  HELD,
  HOLD,
  HELD_BEFORE,
  SETTLEMENT,
  RESERVATION,
  GRANT,
  EXPIRY,
  REVOCATION,
  ADJUSTMENT,
  withHold,
  withTransaction,
  withUsage,
  withLot,
} from './records.ts';

describe('a fault', () => {
  /** Nothing of the hold was charged yet. */
  const UNTOUCHED = { chargedCredits: 0, lots: HOLD.lots.map((lot) => ({ ...lot, paidCredits: 0 })) };
  const PRICE = 'the price of the stored units is not what was booked';
  const ROUNDING = 'the rounding is not what was booked';
  const USAGE = 'the usage log names another amount';
  const BEYOND = 'the hold does not say what went beyond it';
  const CHARGED = 'the hold does not say what it was charged';
  const KEPT = 'what was charged, released and lapsed is not what was held';
  const MOVED = 'the hold is not what was moved to it';
  const entries = (...pairs: [string, number][]) => pairs.map(([account, amount]) => ({ account, amount }));

  it.each<[string, TransactionRecord, string[]]>([
    ['fewer units', withUsage(SETTLEMENT, { units: { request: 1, output: 16 } }), [ROUNDING]],
    ['more units', withUsage(SETTLEMENT, { units: { request: 1, output: 30 } }), [PRICE, ROUNDING]],
    [
      'units that are none',
      withUsage(SETTLEMENT, { units: { output: -1 } }),
      ['the stored units are not units that could have been booked', PRICE, ROUNDING],
    ],
    [
      'reserved units that are none',
      withHold(SETTLEMENT, { units: { tokens: 5 } as never }),
      ['the stored units are not units that could have been booked'],
    ],
    ['other input', withUsage(SETTLEMENT, { units: { request: 1, input: 11, output: 17 } }), [PRICE, ROUNDING]],
    ['another rounding', withUsage(SETTLEMENT, { roundingMicro: '100000.000001' }), [ROUNDING]],
    ['no rounding, as in older rows', withUsage(SETTLEMENT, { roundingMicro: null }), []],
    ['no usage', withHold(SETTLEMENT, { usage: [] }), [PRICE, USAGE]],
    ['another usage', withUsage(SETTLEMENT, { credits: 2 }), [USAGE]],
    ['more written off', withUsage(SETTLEMENT, { writtenOffCredits: 1 }), [USAGE]],
    ['usage that is a correction', withUsage(SETTLEMENT, { isCorrection: true }), [PRICE, USAGE]],
    ['a released credit too few', withHold(SETTLEMENT, { releasedCredits: 8 }), [BEYOND, KEPT]],
    ['a lapsed credit too many', withHold(SETTLEMENT, { lapsedCredits: 1 }), [KEPT]],
    ['a released credit too many', withHold(SETTLEMENT, { releasedCredits: 10 }), [BEYOND]],
    ['another charge on the hold', withHold(SETTLEMENT, { chargedCredits: 2 }), [CHARGED]],
    ['another overrun on the hold', withHold(SETTLEMENT, { overrunCredits: 1 }), [BEYOND]],
    [
      'a hold of another size',
      withHold(SETTLEMENT, { heldCredits: 11 }),
      [MOVED, 'the transaction did not close the whole hold', 'the lots have not reserved what was held'],
    ],
    [
      'a lot that paid more',
      withHold(SETTLEMENT, { lots: HOLD.lots.map((lot) => ({ ...lot, paidCredits: 1 })) }),
      ['the lots have not paid what was charged'],
    ],
    [
      'an entry too few',
      withTransaction(SETTLEMENT, { entries: SETTLEMENT.transaction.entries.slice(0, 2) }),
      ['the entries do not sum to 0', KEPT, USAGE],
    ],
    ['units of a hold that cost less', withHold(RESERVATION, { units: { request: 1, output: 200 } }), [PRICE]],
    [
      'units of an extended hold that cost less',
      {
        ...withHold(RESERVATION, { ...UNTOUCHED, units: { request: 1, output: 200 } }),
        related: [
          { ...HELD_BEFORE, heldChange: 4 },
          { ...HELD_BEFORE, id: 2, type: 'extend', heldChange: 6 },
        ],
      },
      [],
    ],
    [
      'units that cost less, of a hold that was extended for nothing',
      withHold(RESERVATION, { extensions: 1, units: { request: 1, output: 200 } }),
      [],
    ],
    [
      'units of an extended hold that cost more',
      {
        ...withHold(RESERVATION, { ...UNTOUCHED, units: { request: 1, output: 300 } }),
        related: [
          { ...HELD_BEFORE, heldChange: 4 },
          { ...HELD_BEFORE, id: 2, type: 'extend', heldChange: 6 },
        ],
      },
      [PRICE],
    ],
    [
      'a held entry of another size',
      withTransaction(RESERVATION, { entries: entries([AVAILABLE, -10], [HELD, 9], ['revenue', 1]) }),
      ['the entries do not move the held credits as they say'],
    ],
    [
      'an available entry of another size',
      withTransaction(RESERVATION, { entries: entries([AVAILABLE, -11], [HELD, 10], ['revenue', 1]) }),
      ['the entries do not move the available credits as they say'],
    ],
    [
      'a sum that is not 0',
      withTransaction(RESERVATION, { entries: entries([AVAILABLE, -10], [HELD, 10], ['revenue', 1]) }),
      ['the entries do not sum to 0'],
    ],
    [
      'a debt of another size',
      withTransaction(RESERVATION, { debtChange: 1 }),
      ['the entries do not move the debt as they say'],
    ],
    ['a lot that does not add up', withLot(GRANT, { remainingCredits: 9 }), ['the lot does not add up']],
    ['a held part of a lot', withLot(GRANT, { heldCredits: 5 }), ['the lot does not add up']],
    ['a consumed part of a lot', withLot(GRANT, { consumedCredits: 5 }), ['the lot does not add up']],
    [
      'a lot of another size',
      withLot(GRANT, { grantedCredits: 31, remainingCredits: 11 }),
      ['the lot is not what was granted'],
    ],
    [
      'a lot that expired less',
      withLot(EXPIRY, { expiredCredits: 4, remainingCredits: 11 }),
      ['less of the lot has expired than was booked'],
    ],
    ['a lot that expired more, while it was held', withLot(EXPIRY, { expiredCredits: 6, remainingCredits: 9 }), []],
    ['a lot that never expires', withLot(EXPIRY, { expiresAt: null }), ['the lot had not lapsed']],
    [
      'a lot that expires later',
      withLot(EXPIRY, { expiresAt: '2026-02-01T00:00:00.001Z' }),
      ['the lot had not lapsed'],
    ],
    [
      'a lot that was revoked less',
      withLot(REVOCATION, { revokedCredits: 2, remainingCredits: 11 }),
      ['less of the lot was revoked than was booked'],
    ],
    ['a lot that was not revoked', withLot(REVOCATION, { voidedAt: null }), ['the lot was not revoked']],
    ['no reason', withTransaction(ADJUSTMENT, { reason: null }), ['an adjustment without a reason']],
    ['an empty reason', withTransaction(ADJUSTMENT, { reason: '' }), ['an adjustment without a reason']],
  ])('is named: %s', (_what, record, faults) => {
    const explanation = explanationOf(record, RULE);
    expect(explanation.faults).toEqual(faults);
    expect(explanation.matches).toBe(explanation.faults.length === 0);
  });

  it('is named when the price version is gone, and nothing is recomputed', () => {
    const explanation = explanationOf(SETTLEMENT, undefined);
    expect([explanation.price, explanation.faults]).toEqual([null, ['the price version is gone']]);
  });

  it('is named when units are worth more than can be booked', () => {
    const dear = { ...RULE, unitPrices: { output: 1_000_000_000 }, markupNumerator: 1_000_000 };
    const { price, matches } = explanationOf(withUsage(SETTLEMENT, { units: { output: 2 ** 31 - 1 } }), dear);
    expect([price?.credits, matches]).toEqual([Number.MAX_SAFE_INTEGER, false]);
  });
});
