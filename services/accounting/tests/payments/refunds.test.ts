import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';

let accounting: Accounting;
let admin: User;
beforeAll(async () => {
  accounting = await Accounting.start({ OVERRUN_POLICY: 'debt', REFUND_GRACE: '3d' });
  admin = await accounting.user({ role: 'admin' });
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const refund = (body: object, key?: string) =>
  accounting.call('POST', '/api/credits/refunds', {
    token: admin.token,
    body: { reason: 'the answer was wrong', ...body },
    ...(key !== undefined && { key }),
  });
/** A hold of so many credits, charged whole. */
const charged = async (user: User, credits: number) => {
  const holdId = await accounting.held(user, credits);
  accounting.expect(200, await accounting.settle(user, holdId, credits));
  return holdId;
};

describe('a refund', () => {
  it('goes back to the lots of the charge, last burnt first, and shows in ledger and usage as what it is', async () => {
    const alice = await accounting.user();
    const never = await accounting.grant(alice, { credits: 10, days: null });
    const friday = await accounting.grant(alice, { credits: 10, days: 2 });
    const holdId = await charged(alice, 15);
    const { status, body } = await refund({ holdId, credits: 7 });
    expect([status, body]).toEqual([
      201,
      {
        id: expect.any(Number),
        userId: alice.userId,
        holdId,
        transactionId: expect.any(Number),
        credits: 7,
        debtRepaid: 0,
        graceLot: null,
        refundableCredits: 8,
        availableCredits: 12,
      },
    ]);
    expect([await accounting.lot(never), await accounting.lot(friday)]).toEqual([
      [10, 0, 0, 0, 0],
      [2, 0, 8, 0, 0],
    ]);
    const { body: ledger } = await accounting.call('GET', '/api/credits/transactions', { token: alice.token });
    expect((ledger['transactions'] as object[])[0]).toMatchObject({
      id: body['transactionId'],
      type: 'refund',
      availableChange: 7,
      availableAfter: 12,
      holdId,
      actor: `admin:${admin.userId}`,
      reason: 'the answer was wrong',
    });
    const { rows } = await accounting.db.query(
      'SELECT operation, credits::int, is_correction FROM usage_logs WHERE hold_id = $1 ORDER BY id',
      [holdId],
    );
    expect(rows).toEqual([
      { operation: 'chat', credits: 15, is_correction: false },
      { operation: 'refund', credits: -7, is_correction: true },
    ]);
    expect(await accounting.revenueOf(alice)).toBe(8);
  });

  it('case 54: of 60 after one of 60 on a charge of 100 is refused, and says what is left', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await charged(alice, 100);
    expect(await refund({ holdId, credits: 60 })).toMatchObject({ status: 201, body: { refundableCredits: 40 } });
    expect(await refund({ holdId, credits: 60 })).toMatchObject({
      status: 409,
      body: { code: 'refund_exceeds_charge', refundableCredits: 40 },
    });
    expect(await refund({ holdId, credits: 40 })).toMatchObject({ status: 201, body: { refundableCredits: 0 } });
    expect(await accounting.balance(alice)).toEqual({ available: 100, held: 0 });
  });

  it('is made once when ten workers see the same failed job, with one key or with ten, over two instances', async () => {
    const { url } = await accounting.another();
    for (const keys of [Array.from({ length: 10 }, () => 'job-1'), Array.from({ length: 10 }, () => randomUUID())]) {
      const alice = await accounting.user({ credits: 100 });
      const holdId = await charged(alice, 100);
      const answers = await Promise.all(
        keys.map((key, n) =>
          accounting.call(
            'POST',
            '/api/credits/refunds',
            { token: admin.token, key, body: { holdId, credits: 100, reason: 'the job failed' } },
            n % 2 ? url : accounting.url,
          ),
        ),
      );
      const fresh = answers.filter(
        ({ status, headers }) => status === 201 && headers.get('idempotency-replayed') === null,
      );
      expect(fresh).toHaveLength(1);
      expect(answers.filter(({ status }) => status !== 201 && status !== 409)).toEqual([]);
      expect(await accounting.balance(alice)).toEqual({ available: 100, held: 0 });
      expect(await accounting.number('SELECT count(*) AS value FROM refunds WHERE hold_id = $1', [holdId])).toBe(1);
    }
  });

  it('of a lot that has lapsed or was revoked is a new lot with the grace the operator chose', async () => {
    const alice = await accounting.user();
    await accounting.grant(alice, { credits: 10, days: 1 });
    const revoked = await accounting.grant(alice, { credits: 10, days: 20 });
    const lasting = await accounting.grant(alice, { credits: 10, days: null });
    const holdId = await charged(alice, 30);
    await accounting.call('DELETE', `/api/credits/allocations/${revoked}`, { token: admin.token });
    await accounting.advanceClock(25);
    const { body } = await refund({ holdId, credits: 30 });
    expect(body).toMatchObject({ graceLot: { id: expect.any(Number), credits: 20 }, availableCredits: 30 });
    const { id, expiresAt } = body['graceLot'] as { id: number; expiresAt: string };
    expect([await accounting.lot(lasting), await accounting.lot(id)]).toEqual([
      [10, 0, 0, 0, 0],
      [20, 0, 0, 0, 0],
    ]);
    const days = 'SELECT extract(epoch FROM $1::timestamptz - ledger_now()) / 86400 AS value';
    expect(await accounting.number(days, [expiresAt])).toBeCloseTo(3, 2);
    const balance = await accounting.call('GET', '/api/credits/balance', { token: alice.token });
    expect(balance.body['activeAllocations']).toMatchObject([{ source: 'refund' }, { source: 'admin' }]);
  });

  it('repays a debt first', async () => {
    const alice = await accounting.user({ credits: 110 });
    const holdId = await accounting.held(alice, 100);
    await accounting.settle(alice, holdId, 130);
    expect(await refund({ holdId, credits: 50 })).toMatchObject({
      status: 201,
      body: { debtRepaid: 20, availableCredits: 30, refundableCredits: 80 },
    });
    expect(
      await accounting.number('SELECT debt_credits AS value FROM user_accounts WHERE id = $1', [alice.userId]),
    ).toBe(0);
    // Of the 130 that were charged 110 came from lots; the rest has no lot to go back to.
    expect(await refund({ holdId, credits: 80 })).toMatchObject({ status: 201, body: { availableCredits: 110 } });
  });

  it('finds the charge by the transaction that made it, a deduction among them', async () => {
    const alice = await accounting.user({ credits: 20 });
    await accounting.call('POST', '/api/credits/deduct', { token: alice.token, body: { credits: 12 } });
    const idOf = async (type: string) =>
      accounting.number('SELECT id AS value FROM credit_transactions WHERE user_id = $1 AND type = $2', [
        alice.userId,
        type,
      ]);
    expect(await refund({ transactionId: await idOf('settle'), credits: 12 })).toMatchObject({
      status: 201,
      body: { availableCredits: 20 },
    });
    expect((await refund({ transactionId: await idOf('grant'), credits: 1 })).status).toBe(404);
    expect((await refund({ transactionId: await idOf('hold'), credits: 1 })).status).toBe(404);
    expect((await refund({ holdId: randomUUID(), credits: 1 })).status).toBe(404);
  });

  it('is not made of a hold that is open or cost nothing, nor without a reason or by anybody but an admin', async () => {
    const alice = await accounting.user({ credits: 20 });
    const open = await accounting.held(alice, 5);
    expect((await refund({ holdId: open, credits: 5 })).status).toBe(404);
    await accounting.void(alice, open);
    expect(await refund({ holdId: open, credits: 5 })).toMatchObject({ status: 409, body: { refundableCredits: 0 } });
    const holdId = await charged(alice, 5);
    expect((await refund({ holdId, credits: 5, reason: '' })).status).toBe(400);
    expect((await refund({ holdId, transactionId: 1, credits: 5 })).status).toBe(400);
    expect((await refund({ credits: 5 })).status).toBe(400);
    expect((await refund({ holdId, credits: 0 })).status).toBe(422);
    const supervisor = await accounting.user({ role: 'supervisor' });
    for (const { token } of [alice, supervisor]) {
      const body = { holdId, credits: 5, reason: 'mine' };
      expect((await accounting.call('POST', '/api/credits/refunds', { token, body })).status).toBe(403);
    }
  });

  it('and a late settlement of a swept hold together give back no more than was charged too much', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 100);
    await accounting.renew(alice, holdId, { checkpoint: { output: 80 } });
    await accounting.advanceClock(61 / 3600);
    await accounting.flows.sweepHolds();
    expect(await refund({ holdId, credits: 30 })).toMatchObject({ status: 201 });
    expect((await accounting.settle(alice, holdId, 40)).status).toBe(200);
    expect(await accounting.balance(alice)).toEqual({ available: 60, held: 0 });
    expect(await refund({ holdId, credits: 41 })).toMatchObject({ status: 409, body: { refundableCredits: 40 } });
  });

  it('of a late settlement makes nothing of a revoked lot spendable again', async () => {
    const alice = await accounting.user();
    const lot = await accounting.grant(alice, { credits: 100 });
    const holdId = await accounting.held(alice, 100);
    await accounting.renew(alice, holdId, { checkpoint: { output: 100 } });
    await accounting.advanceClock(1);
    await accounting.flows.sweepHolds();
    const path = `/api/credits/allocations/${lot}`;
    accounting.expect(200, await accounting.call('DELETE', path, { token: admin.token }));
    expect((await accounting.settle(alice, holdId, 30)).body).toMatchObject({ chargedCredits: 30 });
    expect(await accounting.lot(lot)).toEqual([0, 0, 30, 0, 70]);
    expect(await accounting.balance(alice)).toEqual({ available: 0, held: 0 });
    expect(await accounting.revenueOf(alice)).toBe(30);
  });

  it('is never edited: the database refuses it', async () => {
    const alice = await accounting.user({ credits: 10 });
    await refund({ holdId: await charged(alice, 10), credits: 10 });
    for (const statement of ['UPDATE refunds SET credits = 1', 'DELETE FROM refunds', 'TRUNCATE refunds'])
      await expect(accounting.db.query(statement)).rejects.toMatchObject({ code: '23001' });
  });
});
