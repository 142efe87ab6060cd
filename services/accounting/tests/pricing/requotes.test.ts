import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';

let accounting: Accounting;
beforeAll(async () => {
  accounting = await Accounting.start();
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const requote = (user: User, holdId: string, model: string, url?: string) =>
  accounting.proxy('POST', `/api/holds/${holdId}/extend`, user, {
    body: { fence: 1, units: { output: 10 }, resource: { upstream: 'openai', model } },
    ...(url !== undefined && { url }),
  });

describe('a fallback that costs more', () => {
  beforeAll(async () => {
    const admin = await accounting.user({ role: 'admin' });
    const body = { upstream: 'openai', model: 'dear', unitPrices: { output: 5_000_000 } };
    accounting.expect(201, await accounting.call('POST', '/api/pricing', { token: admin.token, body }));
  });

  it('case 45: raises the hold first, or is skipped with the hold as it was', async () => {
    const alice = await accounting.user({ credits: 60 });
    const poor = await accounting.user({ credits: 40 });
    const holdId = await accounting.held(alice, 10);
    expect(await requote(alice, holdId, 'dear')).toMatchObject({ status: 200, body: { heldCredits: 50 } });
    expect(await accounting.settle(alice, holdId, 9)).toMatchObject({
      body: { chargedCredits: 45, releasedCredits: 5 },
    });
    const other = await accounting.held(poor, 10);
    expect(await requote(poor, other, 'dear')).toMatchObject({ status: 402, body: { code: 'insufficient_credits' } });

    expect(await accounting.settle(poor, other, 10)).toMatchObject({ body: { chargedCredits: 10 } });
  });

  it('is charged at its price also by an instance that remembers the old one', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 10);
    const { url } = await accounting.another();
    expect((await requote(alice, holdId, 'dear', url)).status).toBe(200);
    expect(await accounting.settle(alice, holdId, 10)).toMatchObject({ body: { chargedCredits: 50 } });
  });

  it('never makes a settlement answer that there is no such hold, however often it is quoted anew meanwhile', async () => {
    const { url } = await accounting.another();
    const statuses: number[] = [];
    for (let round = 0; round < 40; round += 1) {
      const alice = await accounting.user({ credits: 100 });
      const holdId = await accounting.held(alice, 10);
      const [settled] = await Promise.all([
        accounting.settle(alice, holdId, 5),
        ...['dear', 'priced', 'dear', 'priced', 'dear', 'priced'].map((model, n) =>
          requote(alice, holdId, model, n % 2 ? url : accounting.url),
        ),
      ]);
      statuses.push(settled.status);
    }
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
  });

  it('is skipped when the lots of the hold may not pay for it', async () => {
    const alice = await accounting.user();
    await accounting.grant(alice, { credits: 10, models: ['priced'] });
    await accounting.grant(alice, { credits: 100, priority: 200 });
    const holdId = await accounting.held(alice, 10);
    expect((await requote(alice, holdId, 'dear')).status).toBe(402);
    expect(await accounting.balance(alice)).toEqual({ available: 100, held: 10 });
    await accounting.void(alice, holdId);
  });

  it('counts in the limits of the model it comes from, and no more in those of the other', async () => {
    const admin = await accounting.user({ role: 'admin' });
    const limit = (model: string, measure: string, amount: number) =>
      accounting.call('POST', '/api/limits', {
        token: admin.token,
        body: { scope: 'model', subject: model, measure, window: 'day', amount },
      });
    for (const [model, measure, amount] of [
      ['dear', 'credits', 60],
      ['priced', 'credits', 100],
      ['dear', 'requests', 1],
      ['priced', 'requests', 1],
    ] as const)
      accounting.expect(201, await limit(model, measure, amount));
    const counts = async () => {
      const { rows } = await accounting.db.query(
        `SELECT c.subject || ' ' || l.measure AS name, c.reserved::int, c.used::int FROM limit_counters c
         JOIN limits l ON l.id = c.limit_id WHERE l.scope = 'model' ORDER BY 1`,
      );
      return Object.fromEntries(rows.map(({ name, reserved, used }) => [name, [reserved, used]]));
    };
    const alice = await accounting.user({ credits: 500 });
    const holdId = await accounting.held(alice, 10);
    expect(await counts()).toEqual({ 'priced credits': [10, 0], 'priced requests': [0, 1] });
    expect((await requote(alice, holdId, 'dear')).status).toBe(200);
    const moved = { 'dear credits': [50, 0], 'dear requests': [0, 1] };
    expect(await counts()).toEqual({ ...moved, 'priced credits': [0, 0], 'priced requests': [0, 0] });

    // The one request of the dear model is taken, and its budget leaves 10.
    const other = await accounting.held(alice, 10);
    expect((await requote(alice, other, 'dear')).body.code).toBe('rate_limited');
    await accounting.db.query("UPDATE limits SET amount = 5 WHERE subject = 'dear' AND measure = 'requests'");
    expect((await requote(alice, other, 'dear')).body.code).toBe('budget_exceeded');
    expect(await counts()).toEqual({ ...moved, 'priced credits': [10, 0], 'priced requests': [0, 1] });
    await accounting.settle(alice, holdId, 8);
    await accounting.void(alice, other);
    expect(await counts()).toMatchObject({ 'dear credits': [0, 40], 'priced credits': [0, 0] });
    await accounting.db.query('UPDATE limits SET ended_at = ledger_now()');
  });
});

describe('a hold that was extended for nothing', () => {
  /** What the explanation of the first transaction of a user's hold finds wrong. */
  async function faultsOf({ token }: User, holdId: string): Promise<unknown> {
    const { rows } = await accounting.db.query<{ id: string }>(
      "SELECT id FROM credit_transactions WHERE hold_id = $1 AND type = 'hold'",
      [holdId],
    );
    const path = `/api/credits/transactions/${rows[0]?.id}/explain`;
    return accounting.expect(200, await accounting.call('GET', path, { token })).body['faults'];
  }

  it('is explained as one that keeps what was reserved before: quoted anew at a cheaper price', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 10);
    expect(await requote(alice, holdId, 'free')).toMatchObject({ status: 200, body: { heldCredits: 10 } });
    expect(await faultsOf(alice, holdId)).toEqual([]);
    await accounting.settle(alice, holdId, 10);
    expect(await faultsOf(alice, holdId)).toEqual([]);
  });

  it('is explained as one that keeps what was reserved before: asked for less input', async () => {
    const admin = await accounting.user({ role: 'admin' });
    const resource = { upstream: 'openai', model: 'two-sided' };
    const body = { ...resource, unitPrices: { input: 1_000_000, output: 1_000_000 } };
    accounting.expect(201, await accounting.call('POST', '/api/pricing', { token: admin.token, body }));
    const alice = await accounting.user({ credits: 100 });
    const hold = accounting.expect(201, await accounting.hold(alice, { input: 10, output: 10 }, { resource }));
    const holdId = String(hold.body['holdId']);
    const less = { fence: 1, units: { input: 5, output: 10 } };
    expect(await accounting.proxy('POST', `/api/holds/${holdId}/extend`, alice, { body: less })).toMatchObject({
      status: 200,
      body: { heldCredits: 20 },
    });
    expect(await faultsOf(alice, holdId)).toEqual([]);
    await accounting.void(alice, holdId);
  });
});
