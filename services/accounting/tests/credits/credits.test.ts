import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { newUserId } from '@tollgate/test-kit';
import { Accounting, type User } from '../harness/accounting.ts';
import { counted } from '../payments/counted.ts';

let accounting: Accounting;
let admin: User;
let supervisor: User;
beforeAll(async () => {
  accounting = await Accounting.start({ SUPERVISOR_ALLOCATION_CAP: '500' });
  admin = await accounting.user({ role: 'admin' });
  supervisor = await accounting.user({ role: 'supervisor' });
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const post = (path: string, { token }: User, body: unknown, key?: string | null) =>
  accounting.call('POST', `/api/credits/${path}`, { token, body, ...(key !== undefined && { key }) });
const allocate = (by: User, userId: string, credits: unknown, key?: string | null) =>
  post('allocate', by, { userId, credits }, key);

describe('allocating', () => {
  it('grants a lot for 30 days that the user sees at once', async () => {
    const alice = await accounting.user();
    const { status, body } = await allocate(admin, alice.userId, 100);
    expect([status, body]).toEqual([
      201,
      {
        id: expect.any(Number),
        userId: alice.userId,
        totalCredits: 100,
        credits: 100,
        remainingCredits: 100,
        expiresAt: expect.any(String),
      },
    ]);
    const balance = await accounting.call('GET', '/api/credits/balance', { token: alice.token });
    expect(balance.body).toMatchObject({
      totalCredits: 100,
      credits: 100,
      remainingCredits: 100,
      activeAllocations: [{ id: body['id'], credits: 100 }],
    });
  });

  it('finds the user by name and by e-mail address too', async () => {
    const alice = await accounting.user();
    expect(await allocate(admin, `u-${alice.userId}`, 5)).toMatchObject({ status: 201 });
    const byEmail = await post('allocate-by-email', admin, { email: `${alice.userId}@example.test`, credits: 6 });
    expect(byEmail).toMatchObject({
      status: 201,
      body: { userId: alice.userId, email: `${alice.userId}@example.test` },
    });
    const read = await accounting.call('GET', `/api/credits/balance/${alice.userId}%40example.test`, {
      token: supervisor.token,
    });
    expect(read.body).toMatchObject({ totalCredits: 11 });
  });

  it('answers 404 for users that nobody has seen and opens no account', async () => {
    const nobody = newUserId();
    expect(await allocate(admin, nobody, 5)).toMatchObject({
      status: 404,
      body: { message: `User '${nobody}' not found` },
    });
    const byEmail = await post('allocate-by-email', admin, { email: 'nobody@example.test', credits: 5 });
    expect(byEmail).toMatchObject({
      status: 404,
      body: { message: "User with email 'nobody@example.test' not found. Cannot allocate credits." },
    });
    expect((await accounting.call('GET', `/api/credits/balance/${nobody}`, { token: admin.token })).status).toBe(404);
    expect(await accounting.number('SELECT count(*) AS value FROM user_accounts WHERE id = $1', [nobody])).toBe(0);
  });

  it('case 21: refuses a grant of 0, less, a fraction or too much with 422, and makes no lot', async () => {
    const alice = await accounting.user();
    for (const credits of [0, -1, 1.5, 2 ** 60, 2 ** 31, 1e300])
      expect(await allocate(admin, alice.userId, credits)).toMatchObject({
        status: 422,
        body: { code: 'invalid_amount' },
      });
    expect(
      await accounting.number('SELECT count(*) AS value FROM credit_allocations WHERE user_id = $1', [alice.userId]),
    ).toBe(0);
  });

  it.each([['"10"'], ['null'], ['true'], ['[5]'], ['{"x":1}']])(
    'refuses %s, which is no number, with 400',
    async (credits) => {
      const alice = await accounting.user();
      expect(await allocate(admin, alice.userId, JSON.parse(credits))).toMatchObject({
        status: 400,
        body: { message: 'Valid userId and credits required' },
      });
    },
  );

  it('case 50: refuses what a supervisor allocates above its cap or to itself with 403, and tells of each attempt', async () => {
    const alice = await accounting.user();
    const before = await counted(accounting, 'movement_overstepped');
    expect(await allocate(supervisor, alice.userId, 500)).toMatchObject({ status: 201 });
    expect(await allocate(supervisor, alice.userId, 501)).toMatchObject({
      status: 403,
      body: { code: 'allocation_cap_exceeded' },
    });
    expect(await allocate(supervisor, supervisor.userId, 1)).toMatchObject({ status: 403 });
    expect(await post('set', supervisor, { userId: alice.userId, credits: 1001 })).toMatchObject({ status: 403 });
    expect(await post('set', supervisor, { userId: supervisor.userId, credits: 1 })).toMatchObject({ status: 403 });
    expect(await accounting.balance(alice)).toEqual({ available: 500, held: 0 });
    expect((await counted(accounting, 'movement_overstepped')) - before).toBe(4);
  });

  it('refuses a grant that no balance can hold', async () => {
    const alice = await accounting.user();
    await accounting.grant(alice, { credits: Number.MAX_SAFE_INTEGER - 5 });
    expect(await allocate(admin, alice.userId, 6)).toMatchObject({ status: 422 });
    expect(await allocate(admin, alice.userId, 5)).toMatchObject({ status: 201 });
  });
});

describe('spending and correcting', () => {
  it('deducts all or nothing, once, also when a hundred ask at once', async () => {
    const alice = await accounting.user({ credits: 50 });
    const answers = await Promise.all(Array.from({ length: 100 }, () => post('deduct', alice, { credits: 1 })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(50);
    expect(answers.filter(({ status }) => status === 402)).toHaveLength(50);
    expect(await accounting.balance(alice)).toEqual({ available: 0, held: 0 });
    expect(await accounting.revenueOf(alice)).toBe(50);
  });

  it('says what is left in both spellings', async () => {
    const alice = await accounting.user({ credits: 50 });
    const { body } = await post('deduct', alice, { totalCredits: 20, reason: 'a picture' });
    expect(body).toEqual({
      success: true,
      message: 'Successfully deducted 20 credits.',
      remainingBalance: 30,
      newBalance: 30,
    });
  });

  it('sets a balance by an adjustment; lots and history stay', async () => {
    const alice = await accounting.user({ credits: 100 });
    expect(await post('set', admin, { userId: alice.userId, credits: 30 })).toMatchObject({
      body: { previousCredits: 100, newCredits: 30 },
    });
    expect(await post('set', admin, { userId: alice.userId, credits: 45, expiryDays: 3 })).toMatchObject({
      body: { previousCredits: 30, newCredits: 45 },
    });
    const { body } = await accounting.call('GET', '/api/credits/transactions', { token: alice.token });
    const types = (body['transactions'] as { type: string; availableChange: number }[]).map(
      ({ type, availableChange }) => [type, availableChange],
    );
    expect(types).toEqual([
      ['adjustment', 15],
      ['adjustment', -70],
      ['grant', 100],
    ]);
  });

  it.each([['nul \0'], ['half a pair \ud83d']])(
    'refuses text that cannot be stored, and keeps any other as it came',
    async (notes) => {
      const alice = await accounting.user();
      const grant = (text: string) => post('allocate', admin, { userId: alice.userId, credits: 1, notes: text });
      expect((await grant(notes)).status).toBe(400);
      const odd = "ﷺ \u202e مرحبا 🦊 Ω≈ç√ '; DROP TABLE user_accounts;--";
      const { body } = accounting.expect(201, await grant(odd));
      const { rows } = await accounting.db.query('SELECT notes FROM credit_allocations WHERE id = $1', [body['id']]);
      expect(rows).toEqual([{ notes: odd }]);
    },
  );

  it('adjusts and removes with a reason, never below 0', async () => {
    const alice = await accounting.user({ credits: 100 });
    const adjust = (adjustment: number, notes?: string) =>
      accounting.call('PUT', '/api/credits/adjust', {
        token: admin.token,
        body: { userId: alice.userId, adjustment, ...(notes && { notes }) },
      });
    expect(await adjust(-30, 'a complaint')).toMatchObject({
      status: 200,
      body: { previousCredits: 100, newCredits: 70, adjustment: -30 },
    });
    expect(await adjust(-71, 'too much')).toMatchObject({ status: 400, body: { code: 'negative_result' } });
    expect((await adjust(5)).status).toBe(400);
    const remove = (credits: number) =>
      accounting.call('DELETE', '/api/credits/remove', {
        token: admin.token,
        body: { userId: alice.userId, credits, notes: 'fraud' },
      });
    expect(await remove(70)).toMatchObject({ status: 200, body: { removedCredits: 70, newCredits: 0 } });
    expect(await remove(1)).toMatchObject({ status: 400 });
    const { rows } = await accounting.db.query(
      `SELECT actor, reason, (available_after - available_change)::int AS before, available_after::int AS after
       FROM credit_transactions WHERE user_id = $1 AND type = 'adjustment' ORDER BY id`,
      [alice.userId],
    );
    expect(rows).toEqual([
      { actor: `admin:${admin.userId}`, reason: 'a complaint', before: 100, after: 70 },
      { actor: `admin:${admin.userId}`, reason: 'fraud', before: 70, after: 0 },
    ]);
  });

  it('checks without holding', async () => {
    const alice = await accounting.user({ credits: 10 });
    expect((await post('check', alice, { credits: 10 })).body).toEqual({
      sufficient: true,
      credits: 10,
      requiredCredits: 10,
    });
    expect((await post('check', alice, { requiredCredits: 11 })).body).toMatchObject({
      sufficient: false,
      message: 'Insufficient credits',
    });
    for (const credits of [-1, undefined, 0.5])
      expect((await post('check', alice, { credits })).status).toBeGreaterThanOrEqual(400);
    expect(await accounting.balance(alice)).toEqual({ available: 10, held: 0 });
  });

  it.each([
    ['nova-micro', 60],
    ['amazon.nova-lite-v1:0', 800],
    ['titan-express', 600],
    ['llama3-70b', 350],
    ['anything', 500],
  ])('calculates %s with %d credits for a million tokens', async (modelId, credits) => {
    const alice = await accounting.user();
    expect(await post('calculate', alice, { modelId, tokens: 1_000_000 })).toMatchObject({
      status: 200,
      body: { credits, price: { version: 1 } },
    });
  });

  it('calculates a flow at one credit, or more when its tokens cost more', async () => {
    const alice = await accounting.user();
    const quote = async (units: object) =>
      (await post('calculate', alice, { upstream: 'flowise', modelId: 'any', units })).body['credits'];
    expect([
      await quote({ request: 1 }),
      await quote({ request: 1, output: 1999 }),
      await quote({ request: 1, output: 9000 }),
    ]).toEqual([1, 1, 5]);
    expect((await post('calculate', alice, { modelId: 'x' })).body).toMatchObject({
      status: 400,
      message: 'Valid modelId and tokens required',
    });
  });
});
