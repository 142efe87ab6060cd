import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';
import type { Answer } from '../harness/http.ts';
import { newUserId } from '@tollgate/test-kit';

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

const as = (user: User, method: string, path: string, body?: unknown): Promise<Answer> =>
  accounting.call(method, path, { token: user.token, ...(body !== undefined && { body }) });

async function poolOf(credits: number): Promise<{ workspaceId: string; poolId: string }> {
  const workspaceId = randomUUID();
  const { body } = accounting.expect(
    200,
    await as(admin, 'PUT', `/api/workspaces/${workspaceId}/billing`, { billing: 'pool' }),
  );
  const poolId = String(body['poolId']);
  accounting.expect(201, await as(admin, 'POST', '/api/credits/allocate', { userId: poolId, credits }));
  return { workspaceId, poolId };
}

async function deadlocks(): Promise<number> {
  await accounting.db.query('SELECT pg_stat_force_next_flush()');
  return accounting.number('SELECT deadlocks AS value FROM pg_stat_database WHERE datname = current_database()');
}

const billing = async (workspaceId: string) =>
  accounting.expect(200, await as(admin, 'GET', `/api/workspaces/${workspaceId}/billing`)).body;

describe('the pool of a workspace', () => {
  it('pays for what its members ask there, and their own credits stay', async () => {
    const { workspaceId, poolId } = await poolOf(100);
    const alice = await accounting.user({ credits: 7, workspaceId });
    expect(await accounting.balance(alice)).toEqual({ available: 100, held: 0 });
    const holdId = await accounting.held(alice, 30);
    expect(await billing(workspaceId)).toMatchObject({ billing: 'pool', available: 70, held: 30 });
    await accounting.settle(alice, holdId, 20);
    expect(await billing(workspaceId)).toMatchObject({ available: 80, held: 0 });
    const own: User = { ...alice, token: await accounting.tokens.access({ userId: alice.userId }) };
    expect(await accounting.balance(own)).toEqual({ available: 7, held: 0 });
    const { rows } = await accounting.db.query(
      'SELECT user_id, payer_id, credits::int FROM usage_logs WHERE hold_id = $1',
      [holdId],
    );
    expect(rows).toEqual([{ user_id: alice.userId, payer_id: poolId, credits: 20 }]);
  });

  it('does not wait for what a member does with its own account, nor the other way round', async () => {
    const { workspaceId } = await poolOf(50);
    const alice = await accounting.user({ credits: 10, workspaceId });
    const client = await accounting.db.connect();
    try {
      await client.query('BEGIN');
      // In the middle of a grant to the member: its row is locked, and not yet let go.
      await client.query('SELECT ledger.adjust_credits(jsonb_populate_record(NULL::ledger.adjustment_request, $1))', [
        JSON.stringify({ user_id: alice.userId, change: 5, expiry_days: 1, actor: 'test', reason: 'test' }),
      ]);
      expect((await accounting.hold(alice, { output: 7 })).status).toBe(201);
    } finally {
      await client.query('COMMIT');
      client.release();
    }
    expect(await billing(workspaceId)).toMatchObject({ available: 43, held: 7 });
  });

  it('bounds each member by its budget, and a member by its own', async () => {
    const { workspaceId } = await poolOf(1000);
    const [alice, bob] = await Promise.all([1, 2].map(() => accounting.user({ workspaceId })));
    if (!alice || !bob) throw new Error('two users were made');
    const limit = { scope: 'member', measure: 'credits', window: 'month' };
    accounting.expect(
      201,
      await as(admin, 'POST', '/api/limits', { ...limit, subject: `${workspaceId}:*`, amount: 10 }),
    );
    accounting.expect(
      201,
      await as(admin, 'POST', '/api/limits', { ...limit, subject: `${workspaceId}:${bob.userId}`, amount: 25 }),
    );
    expect(await accounting.balance(alice)).toEqual({ available: 10, held: 0 });
    expect((await accounting.hold(alice, { output: 11 })).body.code).toBe('budget_exceeded');
    expect((await accounting.hold(alice, { output: 10 })).status).toBe(201);
    expect((await accounting.hold(bob, { output: 25 })).status).toBe(201);
    expect((await accounting.hold(bob, { output: 1 })).body.code).toBe('budget_exceeded');
    // Elsewhere the budget of a member says nothing.
    const outside = await accounting.user({ credits: 50 });
    expect((await accounting.hold(outside, { output: 50 })).status).toBe(201);
  });

  it('is never spent twice: of 200 holds by ten members over two instances as many pass as it covers', async () => {
    const { workspaceId } = await poolOf(120);
    const members = await Promise.all(Array.from({ length: 10 }, () => accounting.user({ workspaceId })));
    const { url } = await accounting.another();
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) =>
        accounting.hold(members[n % 10] as User, { output: 1 }, n % 2 ? { url } : {}),
      ),
    );
    const held = answers.filter(({ status }) => status === 201);
    expect(held).toHaveLength(120);
    expect(await billing(workspaceId)).toMatchObject({ available: 0, held: 120 });
    await Promise.all(
      answers.map(async ({ status, body }, n) => {
        if (status === 201)
          await accounting.settle(members[n % 10] as User, body['holdId'], n % 2, n % 3 ? { url } : {});
      }),
    );
    const charged = answers.filter(({ status }, n) => status === 201 && n % 2 === 1).length;
    expect(await billing(workspaceId)).toMatchObject({ available: 120 - charged, held: 0 });
  });

  it('goes on paying for holds that were open when its members began to pay for themselves', async () => {
    const { workspaceId } = await poolOf(50);
    const alice = await accounting.user({ credits: 5, workspaceId });
    const holdId = await accounting.held(alice, 30);
    await as(admin, 'PUT', `/api/workspaces/${workspaceId}/billing`, { billing: 'user' });
    expect(await accounting.balance(alice)).toEqual({ available: 5, held: 0 });
    expect(await accounting.settle(alice, holdId, 12)).toMatchObject({ status: 200, body: { chargedCredits: 12 } });
    expect(await billing(workspaceId)).toMatchObject({ billing: 'user', available: 38, held: 0 });
    expect(await accounting.balance(alice)).toEqual({ available: 5, held: 0 });
    // From now on she pays, while other workspaces go on with their pools.
    await accounting.held(alice, 4);
    expect(await accounting.balance(alice)).toEqual({ available: 1, held: 4 });
    expect(await billing(workspaceId)).toMatchObject({ available: 38, held: 0 });
  });

  it('opens the account of a member it has never seen, and lets nobody else settle its hold', async () => {
    const { workspaceId, poolId } = await poolOf(50);
    const userId = (await accounting.user()).userId.replace(/^./, 'f');
    const member: User = { userId, role: 'enduser', token: await accounting.tokens.access({ userId, workspaceId }) };
    const colleague = await accounting.user({ workspaceId });
    const answers = await Promise.all([1, 2, 3, 4].map(() => accounting.hold(member, { output: 1 })));
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
    const holdId = answers[0]?.body['holdId'];
    expect((await accounting.settle(colleague, holdId, 1)).status).toBe(404);
    expect((await accounting.void(colleague, holdId)).status).toBe(404);
    expect(await accounting.number('SELECT count(*) AS value FROM user_accounts WHERE id = $1', [userId])).toBe(1);
    expect(await accounting.number('SELECT held_credits AS value FROM user_accounts WHERE id = $1', [poolId])).toBe(4);
  });

  it('is not for a supervisor to fill or to empty, neither the one that pays for it nor another', async () => {
    const { workspaceId, poolId } = await poolOf(100);
    // The pool of another workspace does not exist for a supervisor.
    const refusals = [
      [workspaceId, { status: 403, body: { code: 'allocation_cap_exceeded' } }],
      [randomUUID(), { status: 404, body: { code: 'not_found' } }],
    ] as const;
    for (const [own, refusal] of refusals) {
      const supervisor = await accounting.user({ role: 'supervisor', workspaceId: own });
      for (const [method, path, body] of [
        ['POST', 'allocate', { credits: 5 }],
        ['PUT', 'adjust', { adjustment: 5, notes: 'x' }],
        ['DELETE', 'remove', { credits: 5, notes: 'x' }],
        ['POST', 'set', { credits: 5 }],
      ] as const)
        expect(await as(supervisor, method, `/api/credits/${path}`, { userId: poolId, ...body })).toMatchObject(
          refusal,
        );
    }
    expect(await billing(workspaceId)).toMatchObject({ available: 100 });
  });

  it('serves a member while its own account is busy, so that nobody who holds the one waits for the other', async () => {
    const { workspaceId, poolId } = await poolOf(100);
    const alice = await accounting.user({ credits: 7, workspaceId });
    const client = await accounting.db.connect();
    try {
      await client.query('BEGIN');
      await client.query(`SELECT ledger.adjust_credits(jsonb_populate_record(NULL::ledger.adjustment_request, $1))`, [
        JSON.stringify({ user_id: alice.userId, change: 1, actor: 'test', reason: 'slow' }),
      ]);
      const holdId = await accounting.held(alice, 30);
      expect((await accounting.settle(alice, holdId, 20)).status).toBe(200);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
    expect(await accounting.number('SELECT total_credits AS value FROM user_accounts WHERE id = $1', [poolId])).toBe(
      80,
    );
  });

  it('and the first requests of new members, of both kinds at once and bounded by limits, never undo each other', async () => {
    const { workspaceId } = await poolOf(1000);
    const { url } = await accounting.another();
    const limit = { scope: 'workspace', subject: workspaceId, measure: 'credits', window: 'day', amount: 1000 };
    accounting.expect(201, await as(admin, 'POST', '/api/limits', limit));
    const before = await deadlocks();
    const answers = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const userId = newUserId();
        const token = await accounting.tokens.access({ userId, workspaceId });
        const user: User = { userId, token, role: 'enduser' };
        return Promise.all([
          accounting.hold(user, { output: 1 }),
          accounting.call('POST', '/api/credits/deduct', { token, body: { credits: 1 } }, url),
          accounting.hold(user, { output: 1 }, { url }),
          accounting.call('POST', '/api/credits/deduct', { token, body: { credits: 1 } }),
        ]);
      }),
    );
    expect(answers.flat().filter(({ status }) => status !== 200 && status !== 201)).toEqual([]);
    expect(await deadlocks()).toBe(before);
  });

  it('is swept and voided like any payer, also by a void that overtakes the hold', async () => {
    const { workspaceId } = await poolOf(50);
    const alice = await accounting.user({ workspaceId });
    const early = randomUUID();
    accounting.expect(200, await accounting.void(alice, early));
    expect(await accounting.hold(alice, { output: 1 }, { holdId: early })).toMatchObject({
      status: 409,
      body: { code: 'hold_closed' },
    });
    await accounting.held(alice, 20);
    await accounting.advanceClock(61 / 3600);
    await accounting.flows.sweepHolds();
    expect(await billing(workspaceId)).toMatchObject({ available: 50, held: 0 });
  });
});

describe('a block', () => {
  const block = (kind: string, id: string) => as(admin, 'PUT', `/api/admin/blocks/${kind}/${id}`, { reason: 'left' });

  it('of a user refuses new holds, stops running answers at their next renewal, and lets them settle to what was produced', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 50);
    accounting.expect(200, await block('user', alice.userId));
    expect(await accounting.hold(alice, { output: 1 })).toMatchObject({
      status: 403,
      body: { code: 'account_disabled' },
    });
    expect(await as(alice, 'POST', '/api/credits/deduct', { credits: 1 })).toMatchObject({
      status: 403,
      body: { code: 'account_disabled' },
    });
    const token = await accounting.tokens.service('chat-proxy', 'accounting');
    const renewed = await accounting.call('POST', '/api/holds/renew', {
      token,
      body: { holds: [{ holdId, fence: 1, checkpoint: { output: 20 } }] },
    });
    expect(renewed.body['holds']).toMatchObject([{ holdId, outcome: 'stopped', reason: 'account_disabled' }]);
    expect(await accounting.renew(alice, holdId, { checkpoint: { output: 21 } })).toMatchObject({
      status: 403,
      body: { code: 'account_disabled' },
    });
    // Its owner does not settle: the lease was not renewed, and the checkpoint is what is charged.
    await accounting.advanceClock(61 / 3600);
    await accounting.flows.sweepHolds();
    expect(await accounting.balance(alice)).toEqual({ available: 79, held: 0 });
    accounting.expect(200, await as(admin, 'DELETE', `/api/admin/blocks/user/${alice.userId}`));
    expect((await accounting.hold(alice, { output: 1 })).status).toBe(201);
  });

  it('of a key ends what was asked with it, and nothing else of its user', async () => {
    const alice = await accounting.user({ credits: 100 });
    const [withKey, without] = await Promise.all([
      accounting.hold(alice, { output: 10 }, { apiKeyId: 'key-9' }),
      accounting.hold(alice, { output: 10 }),
    ]);
    accounting.expect(200, await block('key', 'key-9'));
    expect(await accounting.renew(alice, withKey.body['holdId'])).toMatchObject({
      status: 403,
      body: { code: 'key_revoked' },
    });
    expect((await accounting.renew(alice, without.body['holdId'])).status).toBe(200);
    expect((await accounting.hold(alice, { output: 1 }, { apiKeyId: 'key-9' })).body.code).toBe('key_revoked');
    expect((await accounting.settle(alice, withKey.body['holdId'], 4)).body['chargedCredits']).toBe(4);
    expect((await accounting.hold(alice, { output: 1 })).status).toBe(201);
  });

  it('is not for oneself, and lists who is blocked', async () => {
    expect((await block('user', admin.userId)).body.code).toBe('own_account');
    accounting.expect(200, await block('workspace', 'w-1'));
    const { body } = accounting.expect(200, await as(admin, 'GET', '/api/admin/blocks?limit=1'));
    expect(body).toMatchObject({
      blocks: [{ kind: 'workspace', id: 'w-1', reason: 'left' }],
      nextCursor: expect.any(String),
    });
    expect((await as(admin, 'DELETE', '/api/admin/blocks/workspace/w-2')).status).toBe(404);
  });
});
