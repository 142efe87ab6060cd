import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting } from '../harness/accounting.ts';
import { Purchase } from './purchase.ts';
import { order, paidIntent, PAYMENTS, stripe } from './webhooks.ts';

const running = new Map<'absorb' | 'debt', Accounting>();
beforeAll(async () => {
  for (const policy of ['absorb', 'debt'] as const)
    running.set(policy, await Accounting.start({ ...PAYMENTS, OVERRUN_POLICY: policy }));
});
afterAll(async () => {
  for (const accounting of running.values()) {
    expect(await accounting.faults()).toEqual([]);
    await accounting.stop();
  }
});

/** An order of 100 credits for a dollar, paid, under a policy for what was spent of money that went back. */
async function paid(policy: 'absorb' | 'debt') {
  const accounting = running.get(policy);
  if (!accounting) throw new Error('not started');
  const bought = await order(accounting, 100);
  accounting.expect(200, await stripe(accounting, 'payment_intent.succeeded', paidIntent(bought)));
  return new Purchase(accounting, bought, await accounting.user({ role: 'admin' }));
}

describe('credits that are held when part of their money goes back', () => {
  it('are taken when the hold is voided', async () => {
    const purchase = await paid('absorb');
    const holdId = await purchase.hold(100);
    await purchase.goesBack(50);
    expect(await purchase.books()).toMatchObject({ faults: [], balance: [0, 100], order: [0, 0], toRecall: 50 });
    await purchase.void(holdId);
    const books = {
      faults: [],
      balance: [50, 0],
      lot: [50, 0, 0, 0, 50],
      order: [50, 0],
      toRecall: 0,
      debt: 0,
      entries: { 'issuance:topup': -50 },
    };
    expect(await purchase.books()).toEqual(books);
    // Said again, it takes nothing more.
    await purchase.goesBack(50);
    expect(await purchase.books()).toEqual(books);
  });

  it('are written off as far as the settlement uses more than the money that stayed', async () => {
    const purchase = await paid('absorb');
    const holdId = await purchase.hold(100);
    await purchase.goesBack(50);
    await purchase.settle(holdId, 80);
    expect(await purchase.books()).toEqual({
      faults: [],
      balance: [0, 0],
      lot: [0, 0, 80, 0, 20],
      order: [20, 30],
      toRecall: 0,
      debt: 0,
      entries: { 'issuance:topup': -50, revenue: 80, writeoff: -30 },
    });
  });

  it('are waited for before anything that was spent is written off', async () => {
    const purchase = await paid('absorb');
    const [first, second] = [await purchase.hold(60), await purchase.hold(40)];
    await purchase.settle(first, 60);
    await purchase.goesBack(50);
    expect(await purchase.books()).toMatchObject({ faults: [], balance: [0, 40], order: [0, 10], toRecall: 40 });
    // What people give back of the charge goes where the rest would have come from; only what is left is the user's.
    await purchase.refund(first, 60);
    expect(await purchase.books()).toMatchObject({ faults: [], balance: [10, 40], order: [50, 0], toRecall: 0 });
    await purchase.void(second);
    expect(await purchase.books()).toEqual({
      faults: [],
      balance: [50, 0],
      lot: [50, 0, 0, 0, 50],
      order: [50, 0],
      toRecall: 0,
      debt: 0,
      entries: { 'issuance:topup': -50 },
    });
  });

  it('of two holds are taken from the one that is released, and what the other used beyond that is written off', async () => {
    const purchase = await paid('absorb');
    const [first, second] = [await purchase.hold(60), await purchase.hold(40)];
    await purchase.goesBack(50);
    await purchase.settle(first, 60);
    expect(await purchase.books()).toMatchObject({ faults: [], balance: [0, 40], order: [0, 10], toRecall: 40 });
    await purchase.void(second);
    expect(await purchase.books()).toMatchObject({
      faults: [],
      balance: [0, 0],
      order: [40, 10],
      lot: [0, 0, 60, 0, 40],
    });
  });
});

describe('credits that are held when their payment is charged back', () => {
  it('are written off when they are settled', async () => {
    const purchase = await paid('absorb');
    const holdId = await purchase.hold(100);
    await purchase.isChargedBack();
    await purchase.settle(holdId, 100);
    expect(await purchase.books()).toEqual({
      faults: [],
      balance: [0, 0],
      lot: [0, 0, 100, 0, 0],
      order: [0, 100],
      toRecall: 0,
      debt: 0,
      entries: { revenue: 100, writeoff: -100 },
    });
  });

  it('are owed when they are settled, where the policy says so', async () => {
    const purchase = await paid('debt');
    const holdId = await purchase.hold(100);
    await purchase.isChargedBack();
    await purchase.settle(holdId, 70);
    expect(await purchase.books()).toEqual({
      faults: [],
      balance: [0, 0],
      lot: [0, 0, 70, 0, 30],
      order: [30, 70],
      toRecall: 0,
      debt: 70,
      entries: { revenue: 70 },
    });
  });

  it('are taken when the hold is voided', async () => {
    const purchase = await paid('absorb');
    const holdId = await purchase.hold(60);
    await purchase.isChargedBack();
    expect(await purchase.books()).toMatchObject({ faults: [], balance: [0, 60], order: [40, 0], toRecall: 60 });
    await purchase.void(holdId);
    expect(await purchase.books()).toEqual({
      faults: [],
      balance: [0, 0],
      lot: [0, 0, 0, 0, 100],
      order: [100, 0],
      toRecall: 0,
      debt: 0,
      entries: {},
    });
  });
});

describe('a payment that goes back in the instant in which its credits are settled', () => {
  it('leaves the same books whichever was first', async () => {
    const purchases = await Promise.all(Array.from({ length: 8 }, () => paid('absorb')));
    await Promise.all(
      purchases.map(async (purchase) => {
        const [first, second] = [await purchase.hold(60), await purchase.hold(40)];
        const answers = [purchase.settle(first, 60), purchase.isChargedBack(), purchase.settle(second, 10)];
        await Promise.all([...answers, purchase.goesBack(50)]);
      }),
    );
    for (const purchase of purchases)
      expect(await purchase.books()).toEqual({
        faults: [],
        balance: [0, 0],
        lot: [0, 0, 70, 0, 30],
        order: [30, 70],
        toRecall: 0,
        debt: 0,
        entries: { revenue: 70, writeoff: -70 },
      });
  });
});

describe('what is given back of a charge whose payment was charged back', () => {
  it('is no credit of the user again: it was written off', async () => {
    const purchase = await paid('absorb');
    const holdId = await purchase.hold(100);
    await purchase.isChargedBack();
    await purchase.settle(holdId, 100);
    expect(await purchase.refund(holdId, 40)).toMatchObject({ credits: 40, availableCredits: 0, graceLot: null });
    await purchase.refund(holdId, 60);
    expect(await purchase.books()).toEqual({
      faults: [],
      balance: [0, 0],
      lot: [0, 0, 0, 0, 100],
      order: [100, 0],
      toRecall: 0,
      debt: 0,
      entries: {},
    });
  });

  it('is the credit of who has paid for it in the meantime', async () => {
    const purchase = await paid('debt');
    const holdId = await purchase.hold(100);
    await purchase.isChargedBack();
    await purchase.settle(holdId, 100);
    await purchase.grant(70);
    // 30 are owed still.
    expect(await purchase.refund(holdId, 40)).toMatchObject({ debtRepaid: 30, availableCredits: 10 });
    expect(await purchase.books()).toMatchObject({ faults: [], balance: [10, 0], debt: 0, entries: { revenue: 60 } });
  });

  it('by a late settlement makes the shortfall and the write-off what was used', async () => {
    const purchase = await paid('absorb');
    const holdId = await purchase.hold(100);
    await purchase.isChargedBack();
    await purchase.sweep(holdId, 60);
    expect(await purchase.books()).toMatchObject({
      faults: [],
      order: [40, 60],
      entries: { revenue: 60, writeoff: -60 },
    });
    await purchase.settle(holdId, 10);
    expect(await purchase.books()).toEqual({
      faults: [],
      balance: [0, 0],
      lot: [0, 0, 10, 0, 90],
      order: [90, 10],
      toRecall: 0,
      debt: 0,
      entries: { revenue: 10, writeoff: -10 },
    });
  });

  it('by a late settlement is the credit of who has paid for it in the meantime', async () => {
    const purchase = await paid('debt');
    const holdId = await purchase.hold(100);
    await purchase.isChargedBack();
    await purchase.sweep(holdId, 60);
    await purchase.grant(60);
    await purchase.settle(holdId, 10);
    expect(await purchase.books()).toMatchObject({ faults: [], balance: [50, 0], debt: 0, entries: { revenue: 10 } });
  });
});
