import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { newUserId } from '@tollgate/test-kit';
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

const allocate = (body: object, by: User = admin, key?: string) =>
  accounting.call('POST', '/api/credits/allocate', { token: by.token, body, ...(key !== undefined && { key }) });
const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
const lotsOf = async ({ token }: User) =>
  (await accounting.call('GET', '/api/credits/balance', { token })).body['activeAllocations'] as Record<
    string,
    unknown
  >[];

describe('the terms of a lot', () => {
  it('are chosen by an admin and shown with the balance', async () => {
    const alice = await accounting.user();
    const terms = {
      source: 'promo',
      priority: 7,
      expiresAt: inHours(5),
      models: ['priced', 'other'],
      upstreams: ['openai'],
    };
    const { body } = accounting.expect(201, await allocate({ userId: alice.userId, credits: 20, ...terms }));
    expect(body['expiresAt']).toBe(terms.expiresAt);
    accounting.expect(
      201,
      await accounting.call('POST', '/api/credits/allocate-by-email', {
        token: admin.token,
        body: { email: `${alice.userId}@example.test`, credits: 5, priority: 8, expiryDays: null, workspaceId: 'ws-1' },
      }),
    );
    expect(await lotsOf(alice)).toEqual([
      {
        id: body['id'],
        credits: 20,
        allocatedAt: expect.any(String),
        expiresAt: terms.expiresAt,
        source: 'promo',
        priority: 7,
        models: ['priced', 'other'],
        upstreams: ['openai'],
        workspaceId: null,
      },
      expect.objectContaining({ credits: 5, expiresAt: null, source: 'admin', models: null, workspaceId: 'ws-1' }),
    ]);
    // The one for the workspace does not pay outside of it.
    expect((await accounting.hold(alice, { output: 21 })).status).toBe(402);
    expect((await accounting.hold(alice, { output: 20 })).status).toBe(201);
  });

  it('hold back a lot until its time by the clock of the database', async () => {
    const alice = await accounting.user();
    accounting.expect(201, await allocate({ userId: alice.userId, credits: 20, effectiveAt: inHours(2) }));
    expect(await accounting.balance(alice)).toEqual({ available: 0, held: 0 });
    await accounting.advanceClock(3);
    expect(await accounting.balance(alice)).toEqual({ available: 20, held: 0 });
  });

  it.each([
    ['an unknown source', { source: 'topup' }],
    ['a priority above 1000', { priority: 1001 }],
    ['two ends', { expiresAt: '2099-01-01T00:00:00Z', expiryDays: 5 }],
    ['an end in the past', { expiresAt: '2020-01-01T00:00:00Z' }],
    ['an end before the beginning', { effectiveAt: inHours(100), expiresAt: inHours(90) }],
    ['a beginning after ten years', { effectiveAt: '2999-01-01T00:00:00Z' }],
    ['an end after ten years', { expiresAt: '2999-01-01T00:00:00Z' }],
    ['no models', { models: [] }],
    ['a plan without a period', { source: 'plan' }],
    ['a period without a plan', { period: '2026-11' }],
  ])('are refused with %s', async (_what, terms) => {
    const alice = await accounting.user();
    expect((await allocate({ userId: alice.userId, credits: 20, ...terms })).status).toBe(400);
    expect(await lotsOf(alice)).toEqual([]);
  });

  it('are not for a supervisor to choose', async () => {
    const supervisor = await accounting.user({ role: 'supervisor' });
    const alice = await accounting.user();
    for (const terms of [{ priority: 0 }, { source: 'promo' }, { expiresAt: inHours(5) }, { models: ['priced'] }])
      expect((await allocate({ userId: alice.userId, credits: 1, ...terms }, supervisor)).status).toBe(403);
    expect((await allocate({ userId: alice.userId, credits: 1, expiryDays: 3 }, supervisor)).status).toBe(201);
  });
});

describe('the refill of a plan', () => {
  const refill = (userId: string, credits: number, period: string, key?: string) =>
    allocate({ userId, credits, source: 'plan', period }, admin, key);

  it('comes once for each period, whatever the key, and adds to what is left', async () => {
    const alice = await accounting.user();
    const first = accounting.expect(201, await refill(alice.userId, 100, '2026-11'));
    expect(await refill(alice.userId, 100, '2026-11')).toMatchObject({
      status: 409,
      body: { code: 'already_granted', allocationId: first.body['id'] },
    });
    accounting.expect(201, await refill(alice.userId, 100, '2026-12'));
    expect(await accounting.balance(alice)).toEqual({ available: 200, held: 0 });
  });

  it('comes once when ten schedulers start it at the same moment', async () => {
    const alice = await accounting.user();
    const answers = await Promise.all(Array.from({ length: 10 }, () => refill(alice.userId, 100, '2026-11')));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(9);
    expect(await accounting.balance(alice)).toEqual({ available: 100, held: 0 });
  });
});

describe('the welcome of a new account', () => {
  it('is given once although a hundred first requests come at once, and cannot be overspent', async () => {
    const kind = await Accounting.start({ WELCOME_CREDITS: '25', WELCOME_DAYS: '3' });
    try {
      const userId = newUserId();
      const alice: User = { userId, role: 'enduser', token: await kind.tokens.access({ userId }) };
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, n) =>
          n % 2
            ? kind.hold(alice, { output: 1 })
            : kind.call('POST', '/api/credits/deduct', { token: alice.token, body: { credits: 1 } }),
        ),
      );
      expect(answers.filter(({ status }) => status === 200 || status === 201)).toHaveLength(25);
      expect(answers.filter(({ status }) => status === 402)).toHaveLength(75);
      const { rows } = await kind.db.query(
        `SELECT source, grant_key, total_credits::int, extract(day FROM expires_at - effective_at)::int AS days
         FROM credit_allocations WHERE user_id = $1`,
        [userId],
      );
      expect(rows).toEqual([{ source: 'promo', grant_key: 'welcome', total_credits: 25, days: 3 }]);
      expect(await kind.number('SELECT count(*) AS value FROM user_accounts WHERE id = $1', [userId])).toBe(1);

      const sub = newUserId();
      const keeper = await kind.user({ role: 'admin' });
      const body = { sub, email: `${sub}@example.test` };
      kind.expect(201, await kind.call('POST', '/api/admin/users', { token: keeper.token, body }));
      const bob: User = { userId: sub, role: 'enduser', token: await kind.tokens.access({ userId: sub }) };
      expect(await kind.balance(bob)).toEqual({ available: 25, held: 0 });
      expect(await kind.faults()).toEqual([]);
    } finally {
      await kind.stop();
    }
  });
});
