import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';
import type { Answer } from '../harness/http.ts';

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

/** Limits without a subject bound everybody: each test begins without any. */
beforeEach(() => accounting.db.query('UPDATE limits SET ended_at = ledger_now() WHERE ended_at IS NULL'));

const as = (user: User, method: string, path: string, body?: unknown): Promise<Answer> =>
  accounting.call(method, path, { token: user.token, ...(body !== undefined && { body }) });

async function limited(limit: Record<string, unknown>): Promise<string> {
  return String(accounting.expect(201, await as(admin, 'POST', '/api/limits', limit)).body['id']);
}

const statuses = (answers: readonly Answer[]): number[] =>
  answers.map(({ status }) => status).sort((one, other) => one - other);
const nextDay = (): Promise<void> => accounting.advanceClock(24);

async function ownLimits(user: User): Promise<Record<string, unknown>[]> {
  const { body } = accounting.expect(200, await as(user, 'GET', '/api/credits/limits'));
  return body['limits'] as Record<string, unknown>[];
}

describe('a budget', () => {
  it('refuses what it does not cover with 402, whatever the balance is, and says which budget and until when', async () => {
    const alice = await accounting.user({ credits: 100 });
    await limited({ scope: 'user', subject: alice.userId, measure: 'credits', window: 'day', amount: 10 });
    const holdId = await accounting.held(alice, 8);
    const refused = await accounting.hold(alice, { output: 3 });
    expect(refused).toMatchObject({
      status: 402,
      body: { code: 'budget_exceeded', scope: 'user', measure: 'credits', window: 'day', limit: 10 },
    });
    expect(refused.body['resetsAt']).toMatch(/T00:00:00.000Z$/);
    expect(await accounting.balance(alice)).toEqual({ available: 92, held: 8 });
    // What was not used is free again.
    await accounting.settle(alice, holdId, 5);
    expect((await accounting.hold(alice, { output: 5 })).status).toBe(201);
    expect((await accounting.hold(alice, { output: 1 })).status).toBe(402);
  });

  it('is named as the reason when the balance would have paid for a shorter answer, and not when it would not', async () => {
    const alice = await accounting.user({ credits: 50 });
    await limited({ scope: 'user', subject: alice.userId, measure: 'credits', window: 'day', amount: 10 });
    const hold = (minOutput: number) => accounting.hold(alice, { output: 100 }, { minOutput });
    expect(await hold(20)).toMatchObject({ status: 402, body: { code: 'budget_exceeded', limit: 10 } });
    expect(await hold(60)).toMatchObject({ status: 402, body: { code: 'insufficient_credits' } });
    expect(await hold(10)).toMatchObject({ status: 201, body: { heldCredits: 10, clamped: true } });
  });

  it('lets exactly as much through as it covers when a hundred ask at once, over two instances', async () => {
    const users = await Promise.all([1, 2, 3, 4].map(() => accounting.user({ credits: 100 })));
    await limited({ scope: 'tenant', measure: 'credits', window: 'month', amount: 60 });
    const { url } = await accounting.another();
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) => accounting.hold(users[n % 4] as User, { output: 1 }, n % 2 ? { url } : {})),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(60);
    expect(new Set(answers.filter(({ status }) => status !== 201).map(({ body }) => body.code))).toEqual(
      new Set(['budget_exceeded']),
    );
    expect(
      await accounting.number(
        'SELECT sum(reserved) AS value FROM limit_counters c JOIN limits l ON l.id = c.limit_id WHERE l.ended_at IS NULL',
      ),
    ).toBe(60);
  });

  it('clamps a hold that may be clamped', async () => {
    const alice = await accounting.user({ credits: 100 });
    await limited({ scope: 'user', subject: alice.userId, measure: 'credits', window: 'never', amount: 10 });
    expect(await accounting.hold(alice, { output: 50 }, { minOutput: 5 })).toMatchObject({
      status: 201,
      body: { heldCredits: 10, clamped: true, units: { output: 10 } },
    });
  });

  it('covers an extension or refuses it whole', async () => {
    const alice = await accounting.user({ credits: 100 });
    await limited({ scope: 'user', subject: alice.userId, measure: 'credits', window: 'never', amount: 10 });
    const holdId = await accounting.held(alice, 6);
    const extend = (output: number, more = {}) =>
      accounting.proxy('POST', `/api/holds/${holdId}/extend`, alice, {
        body: { fence: 1, units: { output }, ...more },
      });
    expect(await extend(11)).toMatchObject({ status: 402, body: { code: 'budget_exceeded' } });
    expect(await extend(20, { minOutput: 1 })).toMatchObject({ status: 200, body: { heldCredits: 10, clamped: true } });
    expect(await ownLimits(alice)).toMatchObject([{ amount: 10, reserved: 10, used: 0, remaining: 0 }]);
    await accounting.settle(alice, holdId, 7);
    expect(await ownLimits(alice)).toMatchObject([{ reserved: 0, used: 7, remaining: 3 }]);
  });

  it('lowered while an answer runs takes nothing from it, and names its own amount in what it refuses', async () => {
    const alice = await accounting.user({ credits: 1000 });
    const limitId = await limited({
      scope: 'user',
      subject: alice.userId,
      measure: 'tokens',
      window: 'day',
      amount: 500,
    });
    const holdId = await accounting.held(alice, 100);
    const extend = (output: number) =>
      accounting.proxy('POST', `/api/holds/${holdId}/extend`, alice, { body: { fence: 1, units: { output } } });
    expect((await extend(200)).status).toBe(200);
    const path = `/api/limits/${limitId}`;
    await accounting.call('PATCH', path, { token: admin.token, body: { amount: 50 } });
    expect((await extend(200)).body).toMatchObject({ heldCredits: 200, units: { output: 200 } });
    expect(await extend(201)).toMatchObject({ status: 429, body: { measure: 'tokens', limit: 50 } });
    await accounting.settle(alice, holdId, 200);
  });

  it('bounds a deduction and a session of the user itself as well', async () => {
    const alice = await accounting.user({ credits: 100 });
    await limited({ scope: 'user', subject: alice.userId, measure: 'credits', window: 'never', amount: 5 });
    expect(await as(alice, 'POST', '/api/credits/deduct', { credits: 6 })).toMatchObject({
      status: 402,
      body: { code: 'budget_exceeded' },
    });
    accounting.expect(200, await as(alice, 'POST', '/api/credits/deduct', { credits: 5 }));
    expect(
      await as(alice, 'POST', '/api/streaming-sessions/initialize', {
        sessionId: randomUUID(),
        modelId: 'priced',
        estimatedTokens: 1,
      }),
    ).toMatchObject({ status: 402, body: { code: 'budget_exceeded' } });
  });

  it('case 55: lowered below what was spent refuses the next request and leaves history as it is', async () => {
    const alice = await accounting.user({ credits: 100 });
    const id = await limited({ scope: 'user', subject: alice.userId, measure: 'credits', window: 'month', amount: 50 });
    await accounting.settle(alice, await accounting.held(alice, 20), 20);
    accounting.expect(200, await as(admin, 'PATCH', `/api/limits/${id}`, { amount: 10 }));
    expect(await accounting.hold(alice, { output: 1 })).toMatchObject({
      status: 402,
      body: { code: 'budget_exceeded' },
    });
    expect(await ownLimits(alice)).toMatchObject([{ amount: 10, used: 20, remaining: 0 }]);
    expect(await accounting.revenueOf(alice)).toBe(20);
    accounting.expect(200, await as(admin, 'PATCH', `/api/limits/${id}`, { amount: 21 }));
    expect((await accounting.hold(alice, { output: 1 })).status).toBe(201);
  });

  it('case 56: books a charge in the window its hold was opened in, though the window rolls over meanwhile', async () => {
    const alice = await accounting.user({ credits: 100 });
    await limited({ scope: 'user', subject: alice.userId, measure: 'credits', window: 'day', amount: 10 });
    const holdId = await accounting.held(alice, 10);
    await nextDay();
    // The new day begins with nothing used; no job has run.
    expect(await ownLimits(alice)).toMatchObject([{ used: 0, reserved: 0, remaining: 10 }]);
    await accounting.settle(alice, holdId, 9);
    expect(await ownLimits(alice)).toMatchObject([{ used: 0, remaining: 10 }]);
    expect((await accounting.hold(alice, { output: 10 })).status).toBe(201);
    const { rows } = await accounting.db.query(
      'SELECT c.used::int, c.reserved::int FROM limit_counters c WHERE subject = $1 ORDER BY window_start',
      [alice.userId],
    );
    expect(rows).toEqual([
      { used: 9, reserved: 0 },
      { used: 0, reserved: 10 },
    ]);
  });

  it('begins its day at midnight of the tenant, also when the clocks change', async () => {
    const windows = async (zone: string, at: string) => {
      const { rows } = await accounting.db.query(
        `SELECT ledger.window_start('day', $1, $2::timestamptz) AS start,
                ledger.window_end('day', ledger.window_start('day', $1, $2::timestamptz), $1) AS "end"`,
        [zone, at],
      );
      return [rows[0].start.toISOString(), rows[0].end.toISOString()];
    };
    expect(await windows('Europe/Berlin', '2026-10-24T22:00:00Z')).toEqual([
      '2026-10-24T22:00:00.000Z',
      '2026-10-25T23:00:00.000Z',
    ]);
    expect(await windows('Europe/Berlin', '2026-10-24T21:59:59Z')).toEqual([
      '2026-10-23T22:00:00.000Z',
      '2026-10-24T22:00:00.000Z',
    ]);
  });

  it('for each user by itself gives way to the one that names the user, and bounds new users from their first request', async () => {
    await limited({ scope: 'user', measure: 'credits', window: 'day', amount: 5 });
    const rich = await accounting.user({ credits: 100 });
    await limited({ scope: 'user', subject: rich.userId, measure: 'credits', window: 'day', amount: 50 });
    const bob = await accounting.user({ credits: 100 });
    expect((await accounting.hold(rich, { output: 50 })).status).toBe(201);
    const answers = await Promise.all(Array.from({ length: 8 }, () => accounting.hold(bob, { output: 1 })));
    expect(statuses(answers)).toEqual([201, 201, 201, 201, 201, 402, 402, 402]);
  });

  it('is left alone by a free model', async () => {
    const alice = await accounting.user();
    await limited({ scope: 'user', subject: alice.userId, measure: 'credits', window: 'day', amount: 0 });
    const free = { resource: { upstream: 'openai', model: 'free' } };
    expect((await accounting.hold(alice, { output: 500 }, free)).status).toBe(201);
  });

  it('of a key or a model counts what was asked with that key or of that model', async () => {
    const [alice, bob] = await Promise.all([accounting.user({ credits: 100 }), accounting.user({ credits: 100 })]);
    await limited({ scope: 'key', subject: 'key-1', measure: 'credits', window: 'never', amount: 4 });
    expect((await accounting.hold(alice, { output: 5 }, { apiKeyId: 'key-1' })).status).toBe(402);
    expect((await accounting.hold(alice, { output: 5 }, { apiKeyId: 'key-2' })).status).toBe(201);
    await limited({ scope: 'model', subject: 'priced', measure: 'credits', window: 'never', amount: 6 });
    expect((await accounting.hold(alice, { output: 5 })).status).toBe(201);
    expect((await accounting.hold(bob, { output: 5 })).status).toBe(402);
  });
});

describe('the limits of an installation', () => {
  it('are one for each scope, subject, measure and window', async () => {
    const limit = { scope: 'user', subject: 'x', measure: 'credits', window: 'day', amount: 1 };
    const answers = await Promise.all([1, 2, 3].map(() => as(admin, 'POST', '/api/limits', limit)));
    expect(statuses(answers)).toEqual([201, 409, 409]);
    const { limits } = (await as(admin, 'GET', '/api/limits')).body as { limits: { id: string }[] };
    expect(limits).toMatchObject([limit]);
    accounting.expect(200, await as(admin, 'DELETE', `/api/limits/${limits[0]?.id}`));
    expect((await as(admin, 'DELETE', `/api/limits/${limits[0]?.id}`)).status).toBe(404);
    await limited(limit);
  });

  it('forget windows long past, and nothing that still counts', async () => {
    const alice = await accounting.user({ credits: 10 });
    await limited({ scope: 'user', subject: alice.userId, measure: 'requests', window: 'minute', amount: 5 });
    await limited({ scope: 'user', subject: alice.userId, measure: 'credits', window: 'never', amount: 5 });
    await accounting.held(alice, 1);
    const counters = () =>
      accounting.number('SELECT count(*) AS value FROM limit_counters WHERE subject = $1', [alice.userId]);
    await accounting.flows.forgetCounters();
    expect(await counters()).toBe(2);
    await accounting.advanceClock(25);
    await accounting.flows.forgetCounters();
    expect(await counters()).toBe(1);
  });

  it.each([
    [{ scope: 'tenant', subject: 'x', measure: 'credits', amount: 1 }, 400],
    [{ scope: 'member', subject: 'no-colon', measure: 'credits', amount: 1 }, 400],
    [{ scope: 'user', measure: 'requests', window: 'never', amount: 1 }, 400],
    [{ scope: 'user', measure: 'parallel', window: 'day', amount: 1 }, 400],
    [{ scope: 'user', measure: 'credits', amount: -1 }, 422],
    [{ scope: 'user', measure: 'credits', amount: 1.5 }, 422],
    [{ scope: 'user', measure: 'credits', amount: 2 ** 60 }, 422],
    [{ scope: 'user', measure: 'credits', amount: '1' }, 400],
    [{ scope: 'everybody', measure: 'credits', amount: 1 }, 400],
  ])('are refused when they make no sense: %j', async (limit, status) => {
    expect((await as(admin, 'POST', '/api/limits', limit)).status).toBe(status);
    expect(await accounting.number('SELECT count(*) AS value FROM limits WHERE ended_at IS NULL')).toBe(0);
  });
});
