import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';

// The tests move the ledger's clock forward, one after the other; each has users of its own.
let accounting: Accounting;
beforeAll(async () => {
  accounting = await Accounting.start();
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

/** Just longer than a lease of 60 s. */
const LEASE = 61 / 3600;

const statusOf = async (user: User, holdId: string) =>
  (await accounting.proxy('GET', `/api/holds/${holdId}`, user)).body;

describe('expiry of lots', () => {
  it('case 12: charges a lot that lapsed while it was held', async () => {
    const alice = await accounting.user();
    const lot = await accounting.grant(alice, { credits: 100, days: 1 });
    const holdId = await accounting.held(alice, 60);
    await accounting.advanceClock(25);
    expect(await accounting.settle(alice, holdId, 60)).toMatchObject({
      body: { chargedCredits: 60, expiredCredits: 0 },
    });
    expect(await accounting.lot(lot)).toEqual([40, 0, 60, 0, 0]);
    expect(await accounting.revenueOf(alice)).toBe(60);
  });

  it('case 13: expires what is released of a lot that lapsed while it was held', async () => {
    const alice = await accounting.user();
    const lot = await accounting.grant(alice, { credits: 100, days: 1 });
    const holdId = await accounting.held(alice, 60);
    await accounting.advanceClock(25);
    expect(await accounting.settle(alice, holdId, 20)).toMatchObject({
      body: { chargedCredits: 20, releasedCredits: 0, expiredCredits: 40, availableCredits: 0 },
    });
    expect(await accounting.lot(lot)).toEqual([40, 0, 20, 40, 0]);
    await accounting.flows.expireCredits();
    expect(await accounting.lot(lot)).toEqual([0, 0, 20, 80, 0]);
  });

  it('case 14: does not spend a lot at the instant of its expiry', async () => {
    const alice = await accounting.user();
    const lot = await accounting.grant(alice, { credits: 100, days: 1 });
    const spendable = (at: string) =>
      accounting.number(
        `SELECT ledger.spendable_credits($1, expires_at ${at}) AS value FROM credit_allocations WHERE id = $2`,
        [alice.userId, lot],
      );
    expect([await spendable("- interval '1 microsecond'"), await spendable('')]).toEqual([100, 0]);
  });

  it('case 15: leaves lapsed lots out of every read and hold although nobody has booked them', async () => {
    const alice = await accounting.user();
    await accounting.grant(alice, { credits: 100, days: 1 });
    await accounting.advanceClock(25);
    expect(await accounting.balance(alice)).toEqual({ available: 0, held: 0 });
    const { body } = await accounting.call('GET', '/api/credits/total-balance', { token: alice.token });
    expect(body).toMatchObject({ totalCredits: 0, expiringSoon: 0 });
    expect(await accounting.hold(alice, { output: 1 })).toMatchObject({ status: 402, body: { availableCredits: 0 } });
    expect(
      await accounting.number('SELECT total_credits AS value FROM user_accounts WHERE id = $1', [alice.userId]),
    ).toBe(100);
  });

  it('books a lapsed lot once, whoever sweeps', async () => {
    const alice = await accounting.user();
    const lot = await accounting.grant(alice, { credits: 100, days: 1 });
    await accounting.another();
    await accounting.advanceClock(25);
    await Promise.all(
      accounting.instances.flatMap(({ deps }) => [deps.flows.expireCredits(), deps.flows.expireCredits()]),
    );
    expect(await accounting.lot(lot)).toEqual([0, 0, 0, 100, 0]);
    expect(
      await accounting.number(
        "SELECT count(*) AS value FROM credit_transactions WHERE type = 'expire' AND allocation_id = $1",
        [lot],
      ),
    ).toBe(1);
  });
});

describe('ended leases', () => {
  it('releases a hold that nobody renewed and that has no checkpoint', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 60);
    await accounting.flows.sweepHolds();
    expect(await statusOf(alice, holdId)).toMatchObject({ status: 'active' });
    await accounting.advanceClock(LEASE);
    await accounting.flows.sweepHolds();
    expect(await statusOf(alice, holdId)).toMatchObject({
      status: 'expired',
      outcome: null,
      chargedCredits: 0,
      releasedCredits: 60,
    });
    expect(await accounting.balance(alice)).toEqual({ available: 100, held: 0 });
  });

  it('charges the last checkpoint of a hold whose owner is gone', async () => {
    const alice = await accounting.user({ credits: 1000 });
    const holdId = await accounting.held(alice, 600);
    accounting.expect(200, await accounting.renew(alice, holdId, { checkpoint: { output: 480 } }));
    await accounting.advanceClock(LEASE);
    await accounting.flows.sweepHolds();
    expect(await statusOf(alice, holdId)).toMatchObject({
      status: 'expired',
      outcome: 'recovered',
      chargedCredits: 480,
      availableCredits: 520,
    });
  });

  it('lets a renewal keep a hold alive', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 60);
    await accounting.advanceClock(59 / 3600);
    await accounting.renew(alice, holdId);
    await accounting.advanceClock(31 / 3600);
    await accounting.flows.sweepHolds();
    expect(await statusOf(alice, holdId)).toMatchObject({ status: 'active' });
  });

  it('refunds what a late settlement shows to be too much, to the lots it came from', async () => {
    const alice = await accounting.user();
    const lot = await accounting.grant(alice, { credits: 1000 });
    const holdId = await accounting.held(alice, 600);
    await accounting.renew(alice, holdId, { checkpoint: { output: 480 } });
    await accounting.advanceClock(LEASE);
    await accounting.flows.sweepHolds();
    const late = await accounting.settle(alice, holdId, 400, { key: 'late' });
    expect(late).toMatchObject({
      status: 200,
      body: { alreadyFinal: true, chargedCredits: 400, availableCredits: 600 },
    });
    expect((await accounting.settle(alice, holdId, 400, { key: 'late' })).body).toEqual(late.body);
    expect(await accounting.settle(alice, holdId, 300)).toMatchObject({ body: { chargedCredits: 400 } });
    expect(await accounting.lot(lot)).toEqual([600, 0, 400, 0, 0]);
    expect(await accounting.revenueOf(alice)).toBe(400);
  });

  it('gives a late refund seven days when its lot has lapsed', async () => {
    const alice = await accounting.user();
    await accounting.grant(alice, { credits: 100, days: 1 });
    const holdId = await accounting.held(alice, 100);
    await accounting.renew(alice, holdId, { checkpoint: { output: 90 } });
    await accounting.advanceClock(25);
    await accounting.flows.sweepHolds();
    await accounting.settle(alice, holdId, 50);
    expect(await accounting.balance(alice)).toEqual({ available: 40, held: 0 });
    await accounting.advanceClock(169);
    expect(await accounting.balance(alice)).toEqual({ available: 0, held: 0 });
  });

  it('takes what a late settlement shows to be too little as far as the balance goes, and records the rest', async () => {
    const alice = await accounting.user({ credits: 650 });
    const holdId = await accounting.held(alice, 600);
    await accounting.renew(alice, holdId, { checkpoint: { output: 480 } });
    await accounting.advanceClock(LEASE);
    await accounting.flows.sweepHolds();
    expect(await accounting.settle(alice, holdId, 700)).toMatchObject({
      status: 200,
      body: { alreadyFinal: true, chargedCredits: 650, writtenOffCredits: 50, availableCredits: 0 },
    });
    expect(
      await accounting.number('SELECT discrepancy_credits AS value FROM streaming_sessions WHERE id = $1', [holdId]),
    ).toBe(50);
    expect(await accounting.overruns(alice)).toMatchObject([
      { holdId, chargedCredits: 650, writtenOffCredits: 50, debtCredits: 0 },
    ]);
  });

  it('believes the owner who is heard after somebody else has told of its journal, once, and nobody after that', async () => {
    const alice = await accounting.user();
    const lot = await accounting.grant(alice, { credits: 10_000 });
    const holdId = await accounting.held(alice, 600);
    await accounting.advanceClock(LEASE);
    await accounting.flows.sweepHolds();
    const recovered = { outcome: 'recovered', usageSource: 'checkpoint' } as const;
    expect(await accounting.settle(alice, holdId, 8, recovered)).toMatchObject({ body: { chargedCredits: 8 } });
    // Another process with an older journal changes nothing.
    expect(await accounting.settle(alice, holdId, 9, recovered)).toMatchObject({ body: { chargedCredits: 8 } });
    const owners = await accounting.settle(alice, holdId, 8192, { key: 'owner' });
    expect(owners).toMatchObject({ status: 200, body: { alreadyFinal: true, chargedCredits: 8192 } });
    expect((await accounting.settle(alice, holdId, 8192, { key: 'owner' })).body).toEqual(owners.body);
    expect(await accounting.settle(alice, holdId, 9000)).toMatchObject({ body: { chargedCredits: 8192 } });
    expect(await accounting.settle(alice, holdId, 9000, recovered)).toMatchObject({ body: { chargedCredits: 8192 } });
    expect(await accounting.lot(lot)).toEqual([1808, 0, 8192, 0, 0]);
    expect(await accounting.revenueOf(alice)).toBe(8192);
  });

  it('gives back what somebody else had found to be more than its owner says', async () => {
    const alice = await accounting.user();
    const lot = await accounting.grant(alice, { credits: 1000 });
    const holdId = await accounting.held(alice, 600);
    await accounting.renew(alice, holdId, { checkpoint: { output: 5 } });
    await accounting.advanceClock(LEASE);
    await accounting.flows.sweepHolds();
    await accounting.settle(alice, holdId, 20, { outcome: 'recovered', usageSource: 'checkpoint' });
    expect(await accounting.settle(alice, holdId, 12)).toMatchObject({ body: { chargedCredits: 12 } });
    expect(await accounting.lot(lot)).toEqual([988, 0, 12, 0, 0]);
    expect(await accounting.revenueOf(alice)).toBe(12);
  });

  it('has one winner when settle, void and two sweepers race for a hold whose lease is over, ten times', async () => {
    await accounting.another();
    const holds: { alice: User; holdId: string }[] = [];
    for (let round = 0; round < 10; round += 1) {
      const alice = await accounting.user({ credits: 10 });
      const holdId = await accounting.held(alice, 10);
      await accounting.renew(alice, holdId, { checkpoint: { output: 4 } });
      holds.push({ alice, holdId });
    }
    await accounting.advanceClock(LEASE);
    const [first, second] = accounting.instances;
    for (const { alice, holdId } of holds) {
      await Promise.all([
        accounting.settle(alice, holdId, 7, { url: second?.url ?? '' }),
        accounting.void(alice, holdId),
        first?.deps.flows.sweepHolds(),
        second?.deps.flows.sweepHolds(),
      ]);
      const closings = await accounting.number(
        "SELECT count(*) AS value FROM credit_transactions WHERE hold_id = $1 AND type IN ('settle', 'void')",
        [holdId],
      );
      const state = await statusOf(alice, holdId);
      expect(closings).toBe(1);
      // A settlement that came after the sweeper corrects its charge from 4 to 7.
      expect({ voided: [0], settled: [7], expired: [4, 7] }[String(state['status'])]).toContain(
        state['chargedCredits'],
      );
      expect(await accounting.balance(alice)).toEqual({ available: 10 - Number(state['chargedCredits']), held: 0 });
    }
  });

  it('waits one lease after the start before it closes anything', async () => {
    const alice = await accounting.user({ credits: 10 });
    const holdId = await accounting.held(alice, 10);
    await accounting.advanceClock(24);
    await accounting.first.deps.start();
    await accounting.untilConnected();
    expect(await statusOf(alice, holdId)).toMatchObject({ status: 'active' });
  });
});
