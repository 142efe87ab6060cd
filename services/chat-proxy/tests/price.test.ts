import { describe, expect, it } from '@jest/globals';
import { chargeFor } from '@tollgate/contracts';
import fc from 'fast-check';
import { billFor, extendAtOutput, extendedHold, extendedUnits, promptBytes } from '../src/domain/price.ts';
import { Reply } from '../src/domain/reply.ts';
import { holdOf, MESSAGE_PRICE, TOKEN_PRICE } from './fixtures/doubles.ts';

const UNITS = { request: 1, input: 100, output: 1024 };

function replyOf(pieces: number, status: Reply['status'] = 'completed'): Reply {
  const reply = new Reply({ promptBytes: 40, keeps: false });
  for (let piece = 0; piece < pieces; piece += 1) reply.add({ kind: 'text', text: 'abc' });
  reply.status = status;
  return reply;
}

const withUsage = (reply: Reply, input: number, output: number): Reply => {
  reply.add({ kind: 'usage', usage: { input, output, cacheRead: 0, raw: {} } });
  return reply;
};

describe('the bill of an answer', () => {
  it.each(['failed', 'aborted', 'completed'] as const)('is nothing when nothing was produced and it %s', (status) => {
    expect(billFor(holdOf(TOKEN_PRICE, 10, UNITS), replyOf(0, status))).toBeUndefined();
  });

  it('is one message for a flow that reports no usage', () => {
    const bill = billFor(holdOf(MESSAGE_PRICE, 1, { request: 1 }), replyOf(3));
    expect(bill).toMatchObject({
      units: { request: 1 },
      usageSource: 'flat',
      credits: 1,
      estimated: true,
      outputTokens: 3,
    });
  });

  it('is the message for a flow that broke off, too', () => {
    expect(billFor(holdOf(MESSAGE_PRICE, 1, { request: 1 }), replyOf(1, 'aborted'))).toMatchObject({ credits: 1 });
  });

  it('is metered and at least the message for an agent flow that is left before it reports usage', () => {
    const bill = (pieces: number) =>
      billFor(holdOf(MESSAGE_PRICE, 9, { ...UNITS, output: 9000 }), replyOf(pieces, 'aborted'));
    expect(bill(5)).toMatchObject({ units: { request: 1, output: 5 }, usageSource: 'estimated', credits: 1 });
    expect(bill(5000)).toMatchObject({ units: { request: 1, output: 5000 }, credits: 3 });
    expect(billFor(holdOf(MESSAGE_PRICE, 9, UNITS), replyOf(0, 'aborted'))).toBeUndefined();
  });

  it('by our own count is never more than the hold', () => {
    const bill = billFor(holdOf(TOKEN_PRICE, 1024, UNITS), replyOf(4000));
    expect(bill).toMatchObject({ units: { output: 1024 }, usageSource: 'estimated', credits: 1024 });
  });

  it('is metered for a flow that reports usage, when that is dearer', () => {
    const bill = billFor(holdOf(MESSAGE_PRICE, 9, UNITS), withUsage(replyOf(3), 10_000, 4_000));
    expect(bill).toMatchObject({ usageSource: 'provider', credits: 4, estimated: false });
  });

  it('is our own count for a metered price without usage', () => {
    const bill = billFor(holdOf(TOKEN_PRICE, 100, UNITS), replyOf(8, 'aborted'));
    expect(bill).toMatchObject({ units: { request: 1, input: 10, output: 8 }, usageSource: 'estimated', credits: 8 });
  });

  it('is 0 when the provider says 0, also for a message', () => {
    const bill = billFor(holdOf(MESSAGE_PRICE, 1, UNITS), withUsage(replyOf(3), 0, 0));
    expect(bill).toMatchObject({ units: { input: 0, output: 0 }, usageSource: 'provider', credits: 0 });
  });

  it('says what is left and is marked when the usage could not be believed', () => {
    const reply = replyOf(4);
    reply.add({ kind: 'bad-usage' });
    const bill = billFor(holdOf(TOKEN_PRICE, 10, UNITS, 90), reply);
    expect(bill).toMatchObject({ credits: 4, remainingCredits: 96, estimated: true });
  });

  it('always equals what accounting charges for its units', () => {
    fc.assert(
      fc.property(fc.nat(5000), fc.nat(100_000), fc.nat(100_000), fc.boolean(), (pieces, input, output, reports) => {
        const reply = reports ? withUsage(replyOf(pieces), input, output) : replyOf(pieces);
        const bill = billFor(holdOf(MESSAGE_PRICE, 1, UNITS), reply);
        return bill === undefined || bill.credits === chargeFor(MESSAGE_PRICE, bill.units);
      }),
    );
  });
});

describe('the point at which a hold must grow', () => {
  it('is 80 % of what the hold pays for', () => {
    expect(extendAtOutput(holdOf(TOKEN_PRICE, 100, UNITS), 0)).toBe(80);
  });

  it('counts the input', () => {
    const price = { ...TOKEN_PRICE, unitPrices: { input: 1_000_000, output: 1_000_000 } };
    expect(extendAtOutput(holdOf(price, 100, UNITS), 30)).toBe(50);
  });

  it('is the first token when the input alone has used it up', () => {
    const price = { ...TOKEN_PRICE, unitPrices: { input: 1_000_000, output: 1_000_000 } };
    expect(extendAtOutput(holdOf(price, 10, UNITS), 30)).toBe(1);
  });

  it.each([
    ['a flat price', { ...MESSAGE_PRICE, mode: 'flat' as const }],
    ['a free one', { ...MESSAGE_PRICE, free: true }],
    ['free output', { ...TOKEN_PRICE, unitPrices: { input: 5 } }],
  ])('never comes for %s', (_, price) => {
    expect(extendAtOutput(holdOf(price, 1, UNITS), 100)).toBe(Number.POSITIVE_INFINITY);
  });

  it('regards the markup and the flat part', () => {
    const price = {
      ...MESSAGE_PRICE,
      mode: 'flat_plus_metered' as const,
      unitPrices: { request: 1_000_000, output: 1_000_000 },
    };
    expect(extendAtOutput(holdOf(price, 11, UNITS), 0)).toBe(7);
    expect(extendAtOutput(holdOf({ ...TOKEN_PRICE, markupNumerator: 2 }, 100, UNITS), 0)).toBe(40);
  });

  it('is 80 % of the granted output, too', () => {
    expect(extendAtOutput(holdOf(MESSAGE_PRICE, 1, UNITS), 0)).toBe(819);
  });

  it('asks for twice of what was produced, and for the input as it was', () => {
    expect(extendedUnits(holdOf(TOKEN_PRICE, 100, UNITS), replyOf(900))).toEqual({
      request: 1,
      input: 10,
      output: 1800,
    });
  });

  it('counts an extension as granted when its credits are reserved, whatever units accounting names', () => {
    const asked = { request: 1, input: 10, output: 1800 };
    expect(extendedHold(holdOf(MESSAGE_PRICE, 1, UNITS), asked).units).toEqual(asked);
    expect(extendedHold(holdOf(TOKEN_PRICE, 1100, UNITS), asked).units).toEqual(UNITS);
  });
});

it('bounds the input by its bytes', () => {
  expect(promptBytes(['äöü', ''])).toBe(6 + 2 * 8);
});
