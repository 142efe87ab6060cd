import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';

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

describe('idempotency keys', () => {
  it('are required for money', async () => {
    const alice = await accounting.user();
    expect(await allocate(admin, alice.userId, 5, null)).toMatchObject({
      status: 400,
      body: { code: 'idempotency_key_required' },
    });
    expect(await allocate(admin, alice.userId, 5, 'é')).toMatchObject({ status: 400 });
  });

  it('case 19: give one lot and the first answer to a repeated grant', async () => {
    const alice = await accounting.user();
    const key = randomUUID();
    const first = await allocate(admin, alice.userId, 50, key);
    const second = await allocate(admin, alice.userId, 50, key);
    expect([second.status, second.body]).toEqual([first.status, first.body]);
    expect([first.headers.get('idempotency-replayed'), second.headers.get('idempotency-replayed')]).toEqual([
      null,
      'true',
    ]);
    expect(await accounting.balance(alice)).toEqual({ available: 50, held: 0 });
  });

  it('case 20: refuse another amount under the same key', async () => {
    const alice = await accounting.user();
    const key = randomUUID();
    await allocate(admin, alice.userId, 50, key);
    expect(await allocate(admin, alice.userId, 60, key)).toMatchObject({
      status: 422,
      body: { code: 'idempotency_key_reused' },
    });
  });

  it('give one effect to fifty requests at once; the others are replays or told to wait', async () => {
    const alice = await accounting.user();
    const key = randomUUID();
    const answers = await Promise.all(Array.from({ length: 50 }, () => allocate(admin, alice.userId, 7, key)));
    expect(answers.filter(({ status }) => status !== 201 && status !== 409)).toEqual([]);
    expect(
      answers.filter(({ headers, status }) => status === 201 && headers.get('idempotency-replayed') === null),
    ).toHaveLength(1);
    expect(await accounting.balance(alice)).toEqual({ available: 7, held: 0 });
  });

  it('tell a request that the first one is still running', async () => {
    const alice = await accounting.user();
    const key = randomUUID();
    const client = await accounting.db.connect();
    try {
      // The first request stands before the account's lock.
      await client.query('BEGIN');
      await client.query('SELECT FROM user_accounts WHERE id = $1 FOR UPDATE', [alice.userId]);
      const first = allocate(admin, alice.userId, 5, key);
      await untilWaiting();
      expect(await allocate(admin, alice.userId, 5, key)).toMatchObject({
        status: 409,
        body: { code: 'idempotency_in_progress' },
      });
      await client.query('COMMIT');
      expect(await first).toMatchObject({ status: 201 });
    } finally {
      client.release();
    }
  });

  it('repeat a refusal as well, and keep what it had begun undone', async () => {
    const alice = await accounting.user();
    const key = randomUUID();
    const first = await allocate(supervisor, alice.userId, 501, key);
    const again = await allocate(supervisor, alice.userId, 501, key);
    expect([first.status, again.status, again.body['detail']]).toEqual([403, 403, first.body['detail']]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await accounting.balance(alice)).toEqual({ available: 0, held: 0 });
  });

  it('deduct once for a repeated key, and refuse it for another amount', async () => {
    const alice = await accounting.user({ credits: 10 });
    const key = randomUUID();
    const answers = await Promise.all(Array.from({ length: 5 }, () => post('deduct', alice, { credits: 6 }, key)));
    for (const { status, body } of answers) expect([status, body['newBalance']]).toEqual([200, 4]);
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(4);
    expect(await post('deduct', alice, { credits: 5 }, key)).toMatchObject({ status: 422 });
    expect(await post('deduct', alice, { credits: 5 })).toMatchObject({ status: 402 });
  });

  it('belong to their caller and operation', async () => {
    const [alice, bob] = [await accounting.user({ credits: 5 }), await accounting.user({ credits: 5 })];
    const key = randomUUID();
    for (const user of [alice, bob])
      expect(await post('deduct', user, { credits: 1 }, key)).toMatchObject({ status: 200 });
    expect(await allocate(admin, alice.userId, 1, key)).toMatchObject({ status: 201 });
  });
});

async function untilWaiting(): Promise<void> {
  const waiting =
    "SELECT count(*) AS value FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
  while ((await accounting.number(waiting)) === 0);
}
