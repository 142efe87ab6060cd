import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting } from '../harness/accounting.ts';

let accounting: Accounting;
beforeAll(async () => {
  accounting = await Accounting.start();
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const usageOf = (holdId: string) =>
  accounting.db.query(
    'SELECT credits::int, outcome, reason, is_correction FROM usage_logs WHERE hold_id = $1 ORDER BY id',
    [holdId],
  );

describe('settling', () => {
  it('case 3: charges what was used and gives the rest back at once', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 100);
    const { body } = await accounting.settle(alice, holdId, 30);
    expect(body).toEqual({
      holdId,
      status: 'settled',
      outcome: 'completed',
      heldCredits: 100,
      chargedCredits: 30,
      releasedCredits: 70,
      expiredCredits: 0,
      writtenOffCredits: 0,
      debtCredits: 0,
      availableCredits: 70,
      checkpoint: null,
      alreadyFinal: false,
    });
    expect(await accounting.balance(alice)).toEqual({ available: 70, held: 0 });
    expect(await accounting.revenueOf(alice)).toBe(30);
  });

  it('case 4: voids what cost nothing, with one pair of entries and a usage row of 0', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 100);
    expect(await accounting.settle(alice, holdId, 0)).toMatchObject({
      body: { status: 'voided', chargedCredits: 0, releasedCredits: 100 },
    });
    const { rows } = await accounting.db.query(
      `SELECT t.type, count(e.*)::int AS entries FROM credit_transactions t JOIN credit_entries e ON e.transaction_id = t.id
       WHERE hold_id = $1 GROUP BY t.id ORDER BY t.id`,
      [holdId],
    );
    expect(rows).toEqual([
      { type: 'hold', entries: 2 },
      { type: 'void', entries: 2 },
    ]);
    expect((await usageOf(holdId)).rows).toMatchObject([{ credits: 0 }]);
  });

  it('case 5: answers five equal settlements alike and charges once', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 100);
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => accounting.settle(alice, holdId, 100, { key: `settle-${holdId}` })),
    );
    for (const { status, body } of answers) expect({ status, body }).toEqual({ status: 200, body: answers[0]?.body });
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(4);
    expect(await accounting.revenueOf(alice)).toBe(100);
  });

  it('case 6: keeps the first charge and records what a later settlement says beyond it', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 100);
    await accounting.settle(alice, holdId, 30);
    expect(await accounting.settle(alice, holdId, 40)).toMatchObject({
      status: 200,
      body: { alreadyFinal: true, chargedCredits: 30 },
    });
    expect(
      await accounting.number('SELECT discrepancy_credits AS value FROM streaming_sessions WHERE id = $1', [holdId]),
    ).toBe(10);
    expect(await accounting.revenueOf(alice)).toBe(30);
  });

  it('refuses the key of a settlement with other contents', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 100);
    await accounting.settle(alice, holdId, 30, { key: 'one' });
    expect(await accounting.settle(alice, holdId, 31, { key: 'one' })).toMatchObject({
      status: 422,
      body: { code: 'idempotency_key_reused' },
    });
  });

  it('case 7: lets one of settle and void win, twenty times over two instances', async () => {
    const { url } = await accounting.another();
    for (let round = 0; round < 20; round += 1) {
      const alice = await accounting.user({ credits: 10 });
      const holdId = await accounting.held(alice, 10);
      const answers = await Promise.all([
        accounting.settle(alice, holdId, 7),
        accounting.void(alice, holdId, { url }),
        accounting.settle(alice, holdId, 7, { url }),
        accounting.void(alice, holdId),
      ]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      const winners = answers.filter(({ body }) => body['alreadyFinal'] === false);
      expect(winners).toHaveLength(1);
      const charge = Number(winners[0]?.body['chargedCredits']);
      for (const { body } of answers) expect(body['chargedCredits']).toBe(charge);
      expect(await accounting.balance(alice)).toEqual({ available: 10 - charge, held: 0 });
    }
  });

  it('case 8: takes an overrun from the balance', async () => {
    const alice = await accounting.user({ credits: 150 });
    const holdId = await accounting.held(alice, 100);
    expect(await accounting.settle(alice, holdId, 130)).toMatchObject({
      body: { chargedCredits: 130, writtenOffCredits: 0, availableCredits: 20 },
    });
    expect(
      await accounting.number('SELECT overrun_credits AS value FROM streaming_sessions WHERE id = $1', [holdId]),
    ).toBe(30);
  });

  it('case 9: writes off what the balance does not cover; it never goes below 0', async () => {
    const alice = await accounting.user({ credits: 110 });
    const holdId = await accounting.held(alice, 100);
    const settled = await accounting.settle(alice, holdId, 130);
    expect(settled).toMatchObject({
      body: { chargedCredits: 110, writtenOffCredits: 20, availableCredits: 0 },
    });
    const writtenOff =
      "SELECT sum(e.amount) AS value FROM credit_entries e JOIN credit_transactions t ON t.id = e.transaction_id WHERE account = 'writeoff' AND user_id = $1";
    expect(await accounting.number(writtenOff, [alice.userId])).toBe(-20);
    await accounting.settle(alice, holdId, 130);
    expect(await accounting.overruns(alice)).toEqual([
      {
        userId: alice.userId,
        payerId: alice.userId,
        holdId,
        chargedCredits: 110,
        overrunCredits: 10,
        writtenOffCredits: 20,
        debtCredits: 0,
        requestId: settled.headers.get('x-request-id'),
      },
    ]);
  });

  it('alerts nobody of a charge above its hold that the balance covers', async () => {
    const alice = await accounting.user({ credits: 150 });
    await accounting.settle(alice, await accounting.held(alice, 100), 130);
    expect(await accounting.overruns(alice)).toEqual([]);
  });

  it('keeps a void and its reason in the usage log', async () => {
    const alice = await accounting.user({ credits: 10 });
    const holdId = await accounting.held(alice, 10);
    expect(await accounting.void(alice, holdId)).toMatchObject({ body: { status: 'voided', releasedCredits: 10 } });
    expect((await usageOf(holdId)).rows).toMatchObject([{ credits: 0, reason: 'upstream_failed' }]);
  });

  it('charges 0 for units of 0, whatever the hold was', async () => {
    const alice = await accounting.user({ credits: 10 });
    const holdId = await accounting.held(alice, 10);
    expect(await accounting.settle(alice, holdId, 0)).toMatchObject({ body: { chargedCredits: 0 } });
    expect(await accounting.balance(alice)).toEqual({ available: 10, held: 0 });
  });

  it('closes a hold whatever the upstream wrote into its usage', async () => {
    const alice = await accounting.user({ credits: 10 });
    const holdId = await accounting.held(alice, 10);
    const rawUsage = { note: 'nul \u0000 and half \ud83d' };
    const body = { outcome: 'completed', units: { output: 3 }, usageSource: 'provider', rawUsage };
    expect(await accounting.proxy('POST', `/api/holds/${holdId}/settle`, alice, { body })).toMatchObject({
      body: { chargedCredits: 3 },
    });
    const { rows } = await accounting.db.query('SELECT raw_usage FROM usage_logs WHERE hold_id = $1', [holdId]);
    expect(JSON.parse(Buffer.from(rows[0].raw_usage.base64, 'base64').toString())).toEqual(rawUsage);
  });

  it("knows nothing of another user's hold", async () => {
    const [alice, bob] = [await accounting.user({ credits: 10 }), await accounting.user({ credits: 10 })];
    const holdId = await accounting.held(alice, 10);
    expect([(await accounting.settle(bob, holdId, 1)).status, (await accounting.void(bob, holdId)).status]).toEqual([
      404, 404,
    ]);
    expect((await accounting.proxy('GET', `/api/holds/${holdId}`, bob)).status).toBe(404);
    expect((await accounting.proxy('GET', `/api/holds/${holdId}`, alice)).body).toMatchObject({
      status: 'active',
      heldCredits: 10,
    });
    await accounting.void(alice, holdId);
    expect((await accounting.proxy('GET', `/api/holds/${holdId}`, alice)).body).toMatchObject({
      status: 'voided',
      alreadyFinal: true,
    });
  });
});

describe('settling with the policy `debt`', () => {
  it('case 10: lets the user owe what the balance does not cover, and the next grant repays it', async () => {
    const strict = await Accounting.start({ OVERRUN_POLICY: 'debt' });
    try {
      const admin = await strict.user({ role: 'admin' });
      const alice = await strict.user({ credits: 110 });
      const holdId = await strict.held(alice, 100);
      expect(await strict.settle(alice, holdId, 130)).toMatchObject({
        body: { chargedCredits: 130, debtCredits: 20, writtenOffCredits: 0 },
      });
      expect(await strict.number('SELECT debt_credits AS value FROM user_accounts WHERE id = $1', [alice.userId])).toBe(
        20,
      );
      expect(await strict.overruns(alice)).toMatchObject([{ holdId, writtenOffCredits: 0, debtCredits: 20 }]);
      const body = { userId: alice.userId, credits: 50 };
      const granted = await strict.call('POST', '/api/credits/allocate', { token: admin.token, body });
      expect(granted).toMatchObject({ status: 201, body: { totalCredits: 50, remainingCredits: 30 } });
      expect(await strict.balance(alice)).toEqual({ available: 30, held: 0 });
      expect(await strict.faults()).toEqual([]);
    } finally {
      await strict.stop();
    }
  });
});
