import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { newUserId } from '@tollgate/test-kit';
import { Accounting, type User } from '../harness/accounting.ts';

let accounting: Accounting;
beforeAll(async () => {
  accounting = await Accounting.start();
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

/** Runs `work` while somebody else has the lock of an account. */
async function whileLocked<T>({ userId }: User, work: () => Promise<T>): Promise<T> {
  const client = await accounting.db.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT FROM user_accounts WHERE id = $1 FOR UPDATE', [userId]);
    return await work();
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}

describe('many at once', () => {
  it('all get their allocation: sixty by name to six users with eight connections', async () => {
    const admin = await accounting.user({ role: 'admin' });
    const users = await Promise.all(Array.from({ length: 6 }, () => accounting.user()));
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        accounting.call('POST', '/api/credits/allocate', {
          token: admin.token,
          body: { userId: `u-${users[n % users.length]?.userId}`, credits: 1 },
        }),
      ),
    );
    expect(answers.filter(({ status }) => status !== 201)).toEqual([]);
    for (const user of users) expect(await accounting.balance(user)).toEqual({ available: 10, held: 0 });
  });
});

describe('an account that is locked', () => {
  it('can be read all the same', async () => {
    const alice = await accounting.user({ credits: 7 });
    const answer = await whileLocked(alice, () =>
      accounting.call('GET', '/api/credits/balance', { token: alice.token }),
    );
    expect(answer).toMatchObject({ status: 200, body: { available: 7 } });
  });

  it('stalls no stranger, in whatever numbers its own calls come', async () => {
    const alice = await accounting.user({ credits: 100 });
    const strangers = await Promise.all(Array.from({ length: 20 }, () => accounting.user({ credits: 10 })));
    const own = await whileLocked(alice, async () => {
      let answered = 0;
      const answeredAfter: number[] = [];
      const waiting = Array.from({ length: 12 }, async () => {
        const answer = await accounting.hold(alice, { output: 1 });
        answered += 1;
        return answer;
      });
      for (let round = 0; round < 3; round += 1) {
        const held = await Promise.all(strangers.map((user) => accounting.held(user, 2)));
        const settled = await Promise.all(strangers.map((user, n) => accounting.settle(user, held[n], 2)));
        expect(settled.filter(({ status }) => status !== 200)).toEqual([]);
        answeredAfter.push(answered);
      }
      // They were through with the first round before one of the twelve had waited for the lock as long as it may.
      expect(answeredAfter[0]).toBe(0);
      return waiting;
    });
    const statuses = (await Promise.all(own)).map(({ status }) => status);
    expect(statuses.filter((status) => status !== 201 && status !== 503)).toEqual([]);
    const taken = statuses.filter((status) => status === 201).length;
    expect(await accounting.balance(alice)).toEqual({ available: 100 - taken, held: taken });
    for (const user of strangers) expect(await accounting.balance(user)).toEqual({ available: 4, held: 0 });
  });
});

describe('a name', () => {
  it('that is an id means the account with that id, never one that calls itself so', async () => {
    const admin = await accounting.user({ role: 'admin' });
    const bob = await accounting.user();
    const missing = newUserId();
    await accounting.db.query('UPDATE user_accounts SET username = $2 WHERE id = $1', [bob.userId, missing]);
    const body = { userId: missing, credits: 5 };
    expect((await accounting.call('POST', '/api/credits/allocate', { token: admin.token, body })).status).toBe(404);
  });

  it('that looks like an id is refused for a new account', async () => {
    const admin = await accounting.user({ role: 'admin' });
    const sub = newUserId();
    for (const [username, status] of [
      [newUserId(), 400],
      [randomUUID().replaceAll('-', ''), 400],
      [newUserId().slice(1), 201],
    ] as const) {
      const body = { sub, email: `${sub}@example.test`, username };
      expect((await accounting.call('POST', '/api/admin/users', { token: admin.token, body })).status).toBe(status);
    }
  });
});

describe('old answers', () => {
  it('are forgotten some at a time, until none is left', async () => {
    await accounting.db.query(
      `INSERT INTO idempotency_keys (caller, operation, key, request_hash, response_status, response_body, created_at)
       SELECT 'user:old', 'x', 'k' || n, '', 200, '{}', ledger_now() - interval '30 days' FROM generate_series(1, 2500) n`,
    );
    const left = () => accounting.number("SELECT count(*) AS value FROM idempotency_keys WHERE caller = 'user:old'");
    expect([await accounting.flows.forgetAnswers(), await left()]).toEqual([true, 1500]);
    expect([await accounting.flows.forgetAnswers(), await left()]).toEqual([true, 500]);
    expect([await accounting.flows.forgetAnswers(), await left()]).toEqual([false, 0]);
  });
});
