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

async function ownLimits(user: User): Promise<Record<string, unknown>[]> {
  const { body } = accounting.expect(200, await as(user, 'GET', '/api/credits/limits'));
  return body['limits'] as Record<string, unknown>[];
}

describe('a rate', () => {
  it('of requests refuses with 429, Retry-After and the RateLimit headers, and counts anew in the next minute', async () => {
    const alice = await accounting.user({ credits: 100 });
    await limited({ scope: 'user', subject: alice.userId, measure: 'requests', window: 'minute', amount: 2 });
    for (const output of [1, 2]) await accounting.settle(alice, await accounting.held(alice, output), 1);
    const refused = await accounting.hold(alice, { output: 1 });
    expect(refused).toMatchObject({ status: 429, body: { code: 'rate_limited', limit: 2 } });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(60);
    expect(refused.headers.get('ratelimit-policy')).toBe('"requests-user";q=2;w=60');
    expect(refused.headers.get('ratelimit')).toMatch(/^"requests-user";r=0;t=\d+$/);
    await accounting.advanceClock(61 / 3600);
    expect((await accounting.hold(alice, { output: 1 })).status).toBe(201);
  });

  it('of tokens reserves the estimate and keeps what was used', async () => {
    const alice = await accounting.user({ credits: 1000 });
    await limited({ scope: 'user', subject: alice.userId, measure: 'tokens', window: 'month', amount: 100 });
    const holdId = await accounting.held(alice, 90);
    expect(await accounting.hold(alice, { output: 20 })).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
    expect(await accounting.hold(alice, { output: 20 }, { minOutput: 10 })).toMatchObject({
      status: 201,
      body: { units: { output: 10 }, clamped: true },
    });
    await accounting.settle(alice, holdId, 30);
    expect(await ownLimits(alice)).toMatchObject([{ used: 30, reserved: 10, remaining: 60 }]);
  });

  it('does not count a request that is refused after its hold, before the upstream was asked', async () => {
    const alice = await accounting.user({ credits: 100 });
    await limited({ scope: 'user', subject: alice.userId, measure: 'requests', window: 'day', amount: 1 });
    const holdId = await accounting.held(alice, 1);
    const body = { reason: 'guardrail', refused: true };
    accounting.expect(200, await accounting.proxy('POST', `/api/holds/${holdId}/void`, alice, { body }));
    expect((await accounting.hold(alice, { output: 1 })).status).toBe(201);
    expect((await accounting.hold(alice, { output: 1 })).status).toBe(429);
  });
});

describe('a limit of answers at a time', () => {
  it('case 57: of two lets two of three through, gives a slot back at once when one aborts, and within its lease after a crash', async () => {
    const alice = await accounting.user({ credits: 100 });
    await limited({ scope: 'user', subject: alice.userId, measure: 'parallel', amount: 2 });
    const answers = await Promise.all([1, 2, 3].map(() => accounting.hold(alice, { output: 1 })));
    expect(statuses(answers)).toEqual([201, 201, 429]);
    expect(answers.find(({ status }) => status === 429)?.body.code).toBe('parallel_limit');
    const open = answers.filter(({ status }) => status === 201).map(({ body }) => body['holdId']);
    await accounting.void(alice, open[0]);
    expect((await accounting.hold(alice, { output: 1 })).status).toBe(201);
    expect((await accounting.hold(alice, { output: 1 })).status).toBe(429);
    // Both owners die.
    await accounting.advanceClock(61 / 3600);
    await accounting.flows.sweepHolds();
    expect((await accounting.hold(alice, { output: 1 })).status).toBe(201);
  });

  it('case 58: that refuses a request gives its unit of the rate back', async () => {
    const alice = await accounting.user({ credits: 100 });
    await limited({ scope: 'user', subject: alice.userId, measure: 'parallel', amount: 1 });
    await limited({ scope: 'user', subject: alice.userId, measure: 'requests', window: 'day', amount: 2 });
    const holdId = await accounting.held(alice, 1);
    expect(await accounting.hold(alice, { output: 1 })).toMatchObject({
      status: 429,
      body: { code: 'parallel_limit' },
    });
    await accounting.settle(alice, holdId, 1);
    await accounting.settle(alice, await accounting.held(alice, 1), 1);
    expect(await accounting.hold(alice, { output: 1 })).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
    const requests = (await ownLimits(alice)).find(({ measure }) => measure === 'requests');
    expect(requests).toMatchObject({ used: 2 });
  });
});
