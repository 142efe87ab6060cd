import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Units } from '@tollgate/contracts';
import { Accounting, type User } from '../harness/accounting.ts';

let accounting: Accounting;
let admin: User;
beforeAll(async () => {
  accounting = await Accounting.start();
  admin = await accounting.user({ role: 'admin' });
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const add = async (body: object) =>
  accounting.expect(201, await accounting.call('POST', '/api/pricing', { token: admin.token, body })).body;
const resource = (model: string) => ({ upstream: 'openai', model });
const settle = (user: User, holdId: unknown, units: Units) =>
  accounting.proxy('POST', `/api/holds/${holdId}/settle`, user, {
    body: { outcome: 'completed', units, usageSource: 'provider' },
  });
/** How often something was counted since the service started. */
async function counted(metric: string): Promise<number> {
  const line = (await accounting.first.deps.metrics.text()).split('\n').find((text) => text.startsWith(metric));
  return Number(line?.split(' ').at(-1));
}

describe('the price of a request', () => {
  it('case 43: stays the one of the hold when the model gets another price during the stream', async () => {
    const alice = await accounting.user({ credits: 100 });
    const first = await add({ ...resource('moving'), unitPrices: { output: 1_000_000 } });
    const hold = (output: number) => accounting.hold(alice, { output }, { resource: resource('moving') });
    const { body: before } = await hold(10);
    const second = await add({ ...resource('moving'), unitPrices: { output: 3_000_000 } });
    const { body: after } = await hold(10);
    expect([before['heldCredits'], after['heldCredits']]).toEqual([10, 30]);
    expect([before['price'], after['price']]).toMatchObject([
      { ruleId: first['ruleId'], version: 1 },
      { ruleId: second['ruleId'], version: 2 },
    ]);
    const extension = { body: { fence: 1, units: { output: 12 } } };
    const extended = await accounting.proxy('POST', `/api/holds/${before['holdId']}/extend`, alice, extension);
    expect(extended.body).toMatchObject({ heldCredits: 12, price: { version: 1 } });
    expect((await accounting.settle(alice, before['holdId'], 11)).body['chargedCredits']).toBe(11);
    const { rows } = await accounting.db.query('SELECT price_rule_id FROM usage_logs WHERE hold_id = $1', [
      before['holdId'],
    ]);
    expect(rows).toEqual([{ price_rule_id: first['ruleId'] }]);
  });

  it('leaves for the output what the input does not cost, and the log tells tokens in and out', async () => {
    const alice = await accounting.user({ credits: 100 });
    await add({ ...resource('both'), unitPrices: { input: 1_000_000, cache_read: 1_000_000, output: 2_000_000 } });
    const units = { input: 30, cache_read: 10, output: 500 };
    // 100 less 40 for the input buy 30 at 2 credits each.
    const { body } = await accounting.hold(alice, units, { resource: resource('both'), minOutput: 30 });
    expect(body).toMatchObject({ heldCredits: 100, clamped: true, units: { ...units, output: 30 } });
    await accounting.void(alice, body['holdId']);
    const refused = await accounting.hold(alice, units, { resource: resource('both'), minOutput: 31 });
    expect(refused).toMatchObject({ status: 402, body: { code: 'insufficient_credits', availableCredits: 100 } });

    const { body: held } = await accounting.hold(alice, units, { resource: resource('both'), minOutput: 1 });
    const used = { input: 20, cache_read: 7, cache_write_5m: 3, cache_write_1h: 2, output: 9 };
    expect((await settle(alice, held['holdId'], used)).body['chargedCredits']).toBe(45);
    const { rows } = await accounting.db.query(
      'SELECT input_tokens::int AS "in", output_tokens::int AS "out" FROM usage_logs WHERE hold_id = $1',
      [held['holdId']],
    );
    expect(rows).toEqual([{ in: 32, out: 9 }]);
  });

  it('case 46: may be nothing, then a free model answers at a balance of 0', async () => {
    const alice = await accounting.user();
    const { status, body } = await accounting.hold(alice, { output: 50 }, { resource: resource('free') });
    expect([status, body['heldCredits']]).toEqual([201, 0]);
    expect(await accounting.settle(alice, body['holdId'], 40)).toMatchObject({
      status: 200,
      body: { chargedCredits: 0, status: 'settled' },
    });
    expect(await accounting.balance(alice)).toEqual({ available: 0, held: 0 });
  });

  it('case 47: is needed: without one a request is refused with 402, whatever the balance, and that is told', async () => {
    const alice = await accounting.user({ credits: 100 });
    const refused = 'tollgate_credits_refused_total{reason="model_not_priced"';
    const before = await counted(refused);
    const unpriced = { upstream: 'elsewhere', model: 'gpt' };
    expect(await accounting.hold(alice, { output: 1 }, { resource: unpriced })).toMatchObject({
      status: 402,
      body: { code: 'model_not_priced' },
    });
    expect(
      await accounting.call('POST', '/api/credits/calculate', {
        token: alice.token,
        body: { upstream: 'elsewhere', modelId: 'gpt', tokens: 1 },
      }),
    ).toMatchObject({ status: 402, body: { code: 'model_not_priced' } });
    expect((await counted(refused)) - before).toBe(2);
    expect(await accounting.balance(alice)).toEqual({ available: 100, held: 0 });
    expect(
      await accounting.number('SELECT count(*) AS value FROM streaming_sessions WHERE user_id = $1', [alice.userId]),
    ).toBe(0);
  });

  it('is quoted with its version and the most that the request may cost', async () => {
    const alice = await accounting.user();
    const rule = await add({
      ...resource('quoted'),
      unitPrices: { input: 1000, output: 1_000_000 },
      tiers: [{ aboveInputUnits: 100, unitPrices: { input: 1000, output: 2_000_000 } }],
    });
    const quote = async (input: number) =>
      (
        await accounting.call('POST', '/api/credits/calculate', {
          token: alice.token,
          body: { modelId: 'quoted', units: { input, output: 5 } },
        })
      ).body;
    const price = { ruleId: rule['ruleId'], version: 1, tiers: rule['tiers'] };
    expect(await quote(100)).toMatchObject({ credits: 6, price });
    expect(await quote(101)).toMatchObject({ credits: 11, price });
    expect(await accounting.balance(alice)).toEqual({ available: 0, held: 0 });
  });
});

describe('a tier', () => {
  const RULE = {
    ...resource('tiered'),
    unitPrices: { input: 10_000, output: 1_000_000 },
    tiers: [{ aboveInputUnits: 100, unitPrices: { input: 20_000, output: 2_000_000 } }],
  };
  beforeAll(() => add(RULE));

  it('of the hold is that of the most input, so that the charge never exceeds it', async () => {
    const alice = await accounting.user({ credits: 100 });
    const held = await accounting.hold(alice, { input: 150, output: 10 }, { resource: resource('tiered') });
    expect(held.body['heldCredits']).toBe(23);
    expect((await settle(alice, held.body['holdId'], { input: 99, output: 10 })).body).toMatchObject({
      chargedCredits: 11,
      releasedCredits: 12,
    });
  });

  it('counts when a balance does not cover a request and its output is lowered', async () => {
    const alice = await accounting.user({ credits: 13 });
    const { body } = await accounting.hold(
      alice,
      { input: 150, output: 10 },
      { resource: resource('tiered'), minOutput: 2 },
    );
    expect(body).toMatchObject({ clamped: true, units: { input: 150, output: 5 }, heldCredits: 13 });
    expect((await settle(alice, body['holdId'], { input: 150, output: 5 })).body['chargedCredits']).toBe(13);
  });

  it('counts when the sweeper charges a checkpoint', async () => {
    const alice = await accounting.user({ credits: 100 });
    const held = await accounting.hold(alice, { input: 150, output: 10 }, { resource: resource('tiered') });
    await accounting.renew(alice, held.body['holdId'], { checkpoint: { input: 150, output: 1 } });
    await accounting.advanceClock(1);
    await accounting.flows.sweepHolds();
    expect(await accounting.balance(alice)).toEqual({ available: 95, held: 0 });
  });
});

describe('the rounding', () => {
  it('is stored for each charge, and for a correction the difference', async () => {
    await add({ ...resource('rounded'), unitPrices: { output: 100_000 }, markupDenominator: 7 });
    const alice = await accounting.user({ credits: 10 });
    const { body } = await accounting.hold(alice, { output: 100 }, { resource: resource('rounded') });
    await accounting.renew(alice, body['holdId'], { checkpoint: { output: 50 } });
    await accounting.advanceClock(1);
    await accounting.flows.sweepHolds();
    await settle(alice, body['holdId'], { output: 99 });
    const { rows } = await accounting.db.query(
      'SELECT credits, rounding_micro AS rounding, is_correction FROM usage_logs WHERE hold_id = $1 ORDER BY id',
      [body['holdId']],
    );
    // 50 × 100,000 / 7 = 714,285.7 of 1 credit; 99 × 100,000 / 7 = 1,414,285.7 of 2
    expect(rows).toEqual([
      { credits: '1', rounding: '285714.285714', is_correction: false },
      { credits: '1', rounding: '300000.000000', is_correction: true },
    ]);
  });

  it.each([
    ['a whole credit', '1000000', false, '22003'],
    ['less than nothing, when nothing is corrected', '-0.000001', false, '23514'],
    ['minus a whole credit', '-1000000', true, '22003'],
  ])('is refused by the database as %s', async (_what, rounding, isCorrection, code) => {
    const alice = await accounting.user();
    const inserted = accounting.db.query(
      `INSERT INTO usage_logs (user_id, payer_id, service, operation, credits, rounding_micro, is_correction)
       VALUES ($1, $1, 'x', 'x', 0, $2, $3)`,
      [alice.userId, rounding, isCorrection],
    );
    await expect(inserted).rejects.toMatchObject({ code });
  });
});
