import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { newUserId } from '@tollgate/test-kit';
import { Accounting } from '../harness/accounting.ts';

let accounting: Accounting;
beforeAll(async () => {
  accounting = await Accounting.start();
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const ascending = (one: number, other: number) => one - other;

describe('administration', () => {
  it('opens an account once, and tells which part is taken', async () => {
    const admin = await accounting.user({ role: 'admin' });
    const create = (body: object) => accounting.call('POST', '/api/admin/users', { token: admin.token, body });
    const sub = newUserId();
    const email = `${sub}@example.test`;
    expect(await create({ sub, email, role: 'user' })).toMatchObject({
      status: 201,
      body: { userId: sub, sub, email, role: 'enduser' },
    });
    expect(await create({ sub, email })).toMatchObject({
      status: 409,
      body: { message: `User with identifier (sub) '${sub}' already exists.` },
    });
    expect(await create({ sub: newUserId(), email })).toMatchObject({
      status: 409,
      body: { message: `User with email '${email}' already exists for a different user.` },
    });
    expect(await create({ sub: 'x', email: 'y' })).toMatchObject({ status: 400 });
  });

  it('takes a profile over from a newer token only', async () => {
    const userId = newUserId();
    const at = (seconds: number) => ({ now: () => Date.now() - seconds * 1000 });
    const [older, newer] = [
      await accounting.tokens.access({ userId, clock: at(600) }),
      await accounting.tokens.access({ userId, role: 'supervisor', clock: at(60) }),
    ];
    const roleAfter = async (token: string) => {
      accounting.expect(200, await accounting.call('GET', '/api/credits/balance', { token }));
      const { rows } = await accounting.db.query<{ role: string }>('SELECT role FROM user_accounts WHERE id = $1', [
        userId,
      ]);
      return rows[0]?.role;
    };
    expect([await roleAfter(older), await roleAfter(newer), await roleAfter(older)]).toEqual([
      'enduser',
      'supervisor',
      'supervisor',
    ]);
  });

  it('pages through all lots without gaps', async () => {
    const admin = await accounting.user({ role: 'admin' });
    const bob = await accounting.user();
    for (let n = 1; n <= 5; n += 1) await accounting.grant(bob, { credits: n });
    type Lot = { id: number; userId: string; UserAccount: object };
    const lots: Lot[] = [];
    let cursor: unknown = '';
    do {
      const { body } = await accounting.call(
        'GET',
        `/api/credits/allocations/all?limit=2${cursor ? `&cursor=${cursor}` : ''}`,
        { token: admin.token },
      );
      lots.push(...(body['allocations'] as Lot[]));
      cursor = body['nextCursor'];
    } while (cursor);
    const seen = lots.map(({ id }) => id);
    expect(seen).toEqual([...new Set(seen)].sort(ascending).reverse());
    expect(lots.find(({ userId }) => userId === bob.userId)?.UserAccount).toEqual({
      username: `u-${bob.userId}`,
      email: `${bob.userId}@example.test`,
    });
    expect(seen.length).toBe(await accounting.number('SELECT count(*) AS value FROM credit_allocations'));
  });
});
