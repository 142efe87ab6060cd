import { randomUUID } from 'node:crypto';
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

const statuses = (answers: { status: number }[], status: number) =>
  answers.filter((answer) => answer.status === status).length;

describe('holding', () => {
  it('case 1: lets one of two simultaneous holds of 80 through when the balance is 100', async () => {
    const alice = await accounting.user({ credits: 100 });
    const answers = await Promise.all([accounting.hold(alice, { output: 80 }), accounting.hold(alice, { output: 80 })]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201, 402]));
    expect(answers.find(({ status }) => status === 402)?.body).toMatchObject({
      code: 'insufficient_credits',
      availableCredits: 20,
    });
    expect(await accounting.balance(alice)).toEqual({ available: 20, held: 80 });
  });

  it('case 2: lets exactly 500 of 1,000 holds of 1 through on a balance of 500, over two instances', async () => {
    const alice = await accounting.user({ credits: 500 });
    const { url } = await accounting.another();
    const answers = await Promise.all(
      Array.from({ length: 1000 }, (_, n) => accounting.hold(alice, { output: 1 }, n % 2 ? { url } : {})),
    );
    expect([statuses(answers, 201), statuses(answers, 402)]).toEqual([500, 500]);
    expect(await accounting.balance(alice)).toEqual({ available: 0, held: 500 });
  });

  it('case 22: opens the account of a user it has never seen, with nothing on it', async () => {
    const userId = 'c0ffee'.padEnd(24, '0');
    const bob: User = { userId, role: 'enduser', token: await accounting.tokens.access({ userId }) };
    expect(await accounting.hold(bob, { output: 1 })).toMatchObject({ status: 402 });
    expect(await accounting.number('SELECT count(*) AS value FROM user_accounts WHERE id = $1', [userId])).toBe(1);
  });

  it('case 23: opens one account for eight first requests at once', async () => {
    const userId = 'beef'.padEnd(24, '0');
    const bob: User = { userId, role: 'enduser', token: await accounting.tokens.access({ userId }) };
    const answers = await Promise.all(Array.from({ length: 8 }, () => accounting.hold(bob, { output: 1 })));
    expect(statuses(answers, 402)).toBe(8);
    expect(await accounting.number('SELECT count(*) AS value FROM user_accounts WHERE id = $1', [userId])).toBe(1);
  });

  it('clamps the output to what the balance buys while that is worth having', async () => {
    const alice = await accounting.user({ credits: 300 });
    const { status, body } = await accounting.hold(alice, { input: 10, output: 1024 }, { minOutput: 256 });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      clamped: true,
      heldCredits: 300,
      units: { input: 10, output: 300 },
      availableCredits: 0,
    });
  });

  it('refuses instead of clamping below the least output', async () => {
    const alice = await accounting.user({ credits: 255 });
    expect(await accounting.hold(alice, { output: 1024 }, { minOutput: 256 })).toMatchObject({ status: 402 });
    expect(await accounting.balance(alice)).toEqual({ available: 255, held: 0 });
  });

  it('gives the same hold to a repeated request and charges nothing twice', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = randomUUID();
    const [first, ...again] = await Promise.all(
      Array.from({ length: 5 }, () => accounting.hold(alice, { output: 30 }, { holdId, key: holdId })),
    );
    for (const answer of again) expect(answer.body).toEqual(first?.body);
    expect(again.filter(({ headers }) => headers.get('idempotency-replayed') === 'true').length).toBeGreaterThanOrEqual(
      4 - 1,
    );
    expect(await accounting.balance(alice)).toEqual({ available: 70, held: 30 });
  });

  it('answers a request for a hold that was closed meanwhile with 409 and its final state', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 30);
    await accounting.settle(alice, holdId, 10);
    const answer = await accounting.hold(alice, { output: 30 }, { holdId });
    expect(answer).toMatchObject({ status: 409, body: { code: 'hold_closed', hold: { chargedCredits: 10 } } });
  });

  it('refuses a hold id or a key that was used for another request', async () => {
    const alice = await accounting.user({ credits: 100 });
    const bob = await accounting.user({ credits: 100 });
    const holdId = randomUUID();
    accounting.expect(201, await accounting.hold(alice, { output: 30 }, { holdId, key: 'k' }));
    expect(await accounting.hold(alice, { output: 31 }, { holdId, key: 'k' })).toMatchObject({
      status: 422,
      body: { code: 'idempotency_key_reused' },
    });
    expect(await accounting.hold(alice, { output: 30 }, { key: 'k' })).toMatchObject({ status: 422 });
    expect(await accounting.hold(bob, { output: 30 }, { holdId })).toMatchObject({ status: 422 });
    expect(await accounting.balance(bob)).toEqual({ available: 100, held: 0 });
  });
});

describe('extending and renewing', () => {
  it('takes the whole difference or nothing', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 40);
    const extend = (output: number, fence = 1) =>
      accounting.proxy('POST', `/api/holds/${holdId}/extend`, alice, { body: { fence, units: { output } } });
    expect(await extend(90)).toMatchObject({ status: 200, body: { heldCredits: 90, availableCredits: 10 } });
    expect(await extend(90)).toMatchObject({ status: 200, body: { heldCredits: 90, availableCredits: 10 } });
    expect(await extend(101)).toMatchObject({ status: 402 });
    expect(await accounting.balance(alice)).toEqual({ available: 10, held: 90 });
    expect(await accounting.settle(alice, holdId, 95)).toMatchObject({ body: { chargedCredits: 95 } });
  });

  it('is raised to what the balance buys when that is worth going on for', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 40);
    const extend = (output: number, minOutput?: number) =>
      accounting.proxy('POST', `/api/holds/${holdId}/extend`, alice, {
        body: { fence: 1, units: { input: 10, output }, ...(minOutput !== undefined && { minOutput }) },
      });
    expect(await extend(150)).toMatchObject({ status: 402, body: { availableCredits: 60 } });
    expect(await extend(150, 101)).toMatchObject({ status: 402 });
    expect(await extend(90, 50)).toMatchObject({ status: 200, body: { clamped: false, units: { output: 90 } } });
    const clamped = { heldCredits: 100, clamped: true, units: { input: 10, output: 100 }, availableCredits: 0 };
    expect(await extend(150, 50)).toMatchObject({ status: 200, body: clamped });
    expect(await extend(150, 50)).toMatchObject({ status: 200, body: clamped });
    expect(await accounting.settle(alice, holdId, 100)).toMatchObject({ body: { chargedCredits: 100 } });
  });

  it('never takes output away that was granted', async () => {
    const alice = await accounting.user({ credits: 40 });
    const holdId = await accounting.held(alice, 40);
    const body = { fence: 1, units: { output: 80 }, minOutput: 10 };
    const answer = await accounting.proxy('POST', `/api/holds/${holdId}/extend`, alice, { body });
    expect(answer).toMatchObject({ status: 200, body: { clamped: true, heldCredits: 40, units: { output: 40 } } });
    await accounting.void(alice, holdId);
  });

  it('tells the checkpoint of the last renewal, while the hold is open and after', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 40);
    const read = async () => (await accounting.proxy('GET', `/api/holds/${holdId}`, alice)).body['checkpoint'];
    expect(await read()).toBeNull();
    await accounting.renew(alice, holdId, { checkpoint: { output: 12 } });
    expect(await read()).toEqual({ output: 12 });
    expect((await accounting.settle(alice, holdId, 20)).body['checkpoint']).toEqual({ output: 12 });
    expect(await read()).toEqual({ output: 12 });
  });

  it('refuses who was overtaken: the higher fence wins', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 40);
    expect(await accounting.renew(alice, holdId, { fence: 2 })).toMatchObject({ status: 200 });
    expect(await accounting.renew(alice, holdId, { fence: 1 })).toMatchObject({
      status: 409,
      body: { code: 'hold_fenced' },
    });
    const extend = await accounting.proxy('POST', `/api/holds/${holdId}/extend`, alice, {
      body: { fence: 1, units: { output: 41 } },
    });
    expect(extend).toMatchObject({ status: 409, body: { code: 'hold_fenced' } });
  });

  it('refuses a fence that no database column keeps, so that it costs no other hold of the call its lease', async () => {
    const alice = await accounting.user({ credits: 10 });
    const holdId = await accounting.held(alice, 10);
    const fence = 2 ** 31;
    expect((await accounting.renew(alice, holdId, { fence })).status).toBe(400);
    const extension = { fence, units: { output: 10 } };
    expect((await accounting.proxy('POST', `/api/holds/${holdId}/extend`, alice, { body: extension })).status).toBe(
      400,
    );
    await accounting.void(alice, holdId);
  });

  it('renews many holds of many users in one call, each with its own outcome', async () => {
    const [alice, bob] = [await accounting.user({ credits: 10 }), await accounting.user({ credits: 10 })];
    const open = await accounting.held(alice, 1);
    const fenced = await accounting.held(bob, 1);
    await accounting.renew(bob, fenced, { fence: 7 });
    const closed = await accounting.held(bob, 1);
    await accounting.void(bob, closed);
    const unknown = randomUUID();
    const token = await accounting.tokens.service('chat-proxy', 'accounting');
    const holds = [open, fenced, closed, unknown].map((holdId) => ({ holdId, fence: 1, checkpoint: { output: 1 } }));
    const { body } = accounting.expect(
      200,
      await accounting.call('POST', '/api/holds/renew', { token, body: { holds } }),
    );
    const outcomes = new Map(
      (body['holds'] as { holdId: string; outcome: string }[]).map(({ holdId, outcome }) => [holdId, outcome]),
    );
    expect([open, fenced, closed, unknown].map((id) => outcomes.get(id))).toEqual([
      'renewed',
      'fenced',
      'closed',
      'unknown',
    ]);
  });
});

describe('lots', () => {
  it('case 11: burns the earliest expiry first and gives back to the lots it took from', async () => {
    const alice = await accounting.user();
    const never = await accounting.grant(alice, { credits: 10, days: null });
    const friday = await accounting.grant(alice, { credits: 10, days: 2 });
    const holdId = await accounting.held(alice, 15);
    expect([await accounting.lot(friday), await accounting.lot(never)]).toEqual([
      [0, 10, 0, 0, 0],
      [5, 5, 0, 0, 0],
    ]);
    await accounting.settle(alice, holdId, 12);
    expect([await accounting.lot(friday), await accounting.lot(never)]).toEqual([
      [0, 0, 10, 0, 0],
      [8, 0, 2, 0, 0],
    ]);
  });

  it('case 16: burns a lower priority number first, and a gift before what was paid for', async () => {
    const alice = await accounting.user();
    const paid = await accounting.grant(alice, { credits: 5, source: 'topup', days: null });
    const promo = await accounting.grant(alice, { credits: 5, source: 'promo', days: null });
    const first = await accounting.grant(alice, { credits: 5, priority: 1, days: null });
    await accounting.held(alice, 8);
    expect([await accounting.lot(first), await accounting.lot(promo), await accounting.lot(paid)]).toEqual([
      [0, 5, 0, 0, 0],
      [2, 3, 0, 0, 0],
      [5, 0, 0, 0, 0],
    ]);
  });

  it('burns the lot that began earlier first, then the one that came first', async () => {
    const alice = await accounting.user();
    const later = await accounting.grant(alice, { credits: 5, days: null });
    const earlier = await accounting.grant(alice, { credits: 5, days: null, in: '-2 days' });
    const same = await accounting.grant(alice, { credits: 5, days: null, in: '-2 days' });
    await accounting.db.query(
      'UPDATE credit_allocations SET effective_at = (SELECT effective_at FROM credit_allocations WHERE id = $1) WHERE id = $2',
      [earlier, same],
    );
    await accounting.held(alice, 12);
    expect([await accounting.lot(earlier), await accounting.lot(same), await accounting.lot(later)]).toEqual([
      [0, 5, 0, 0, 0],
      [0, 5, 0, 0, 0],
      [3, 2, 0, 0, 0],
    ]);
    const bob = await accounting.user();
    const [first, second] = [
      await accounting.grant(bob, { credits: 5, days: null }),
      await accounting.grant(bob, { credits: 5, days: null }),
    ];
    await accounting.held(bob, 6);
    expect([await accounting.lot(first), await accounting.lot(second)]).toEqual([
      [0, 5, 0, 0, 0],
      [4, 1, 0, 0, 0],
    ]);
  });

  it('case 17: skips a lot that is for another model', async () => {
    const alice = await accounting.user();
    const other = await accounting.grant(alice, { credits: 50, models: ['another'] });
    expect(await accounting.hold(alice, { output: 1 })).toMatchObject({ status: 402 });
    expect(await accounting.lot(other)).toEqual([50, 0, 0, 0, 0]);
  });

  it('case 18: revokes only what is not held; the held part settles and its rest is revoked too', async () => {
    const admin = await accounting.user({ role: 'admin' });
    const alice = await accounting.user();
    const id = await accounting.grant(alice, { credits: 100 });
    const holdId = await accounting.held(alice, 40);
    const revoke = () => accounting.call('DELETE', `/api/credits/allocations/${id}`, { token: admin.token });
    expect(await revoke()).toMatchObject({ status: 200, body: { revokedCredits: 60, heldCredits: 40 } });
    expect(await revoke()).toMatchObject({ status: 200, body: { revokedCredits: 60 } });
    expect(await accounting.settle(alice, holdId, 30)).toMatchObject({
      body: { chargedCredits: 30, releasedCredits: 0, expiredCredits: 10 },
    });
    expect(await accounting.lot(id)).toEqual([0, 0, 30, 0, 70]);
    expect(await accounting.balance(alice)).toEqual({ available: 0, held: 0 });
  });

  it('spends no lot before its time', async () => {
    const alice = await accounting.user();
    await accounting.grant(alice, { credits: 10, in: '1 hour' });
    expect(await accounting.balance(alice)).toEqual({ available: 0, held: 0 });
    expect(await accounting.hold(alice, { output: 1 })).toMatchObject({ status: 402 });
  });
});
