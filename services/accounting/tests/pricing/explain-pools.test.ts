import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Explanation } from '../../src/domain/transaction-record.ts';
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

const ask = (user: User, id: unknown) =>
  accounting.call('GET', `/api/credits/transactions/${id}/explain`, { token: user.token });

/** A member whose charge of 20 the pool of its workspace has paid. */
async function paidByPool() {
  const workspaceId = randomUUID();
  const billing = { token: admin.token, body: { billing: 'pool' } };
  const { body } = await accounting.call('PUT', `/api/workspaces/${workspaceId}/billing`, billing);
  const poolId = String(body['poolId']);
  await accounting.grant({ userId: poolId }, { credits: 100 });
  const [alice, bob] = [await accounting.user({ workspaceId }), await accounting.user({ workspaceId })];
  const holdId = await accounting.held(alice, 30);
  await accounting.settle(alice, holdId, 20);
  const { rows } = await accounting.db.query<{ id: string; type: string }>(
    'SELECT id, type FROM credit_transactions WHERE user_id = $1 ORDER BY id',
    [poolId],
  );
  const idOf = (type: string) => Number(rows.find((row) => row.type === type)?.id);
  return { alice, bob, poolId, holdId, idOf };
}

describe('a charge that a pool has paid', () => {
  it('is explained to who asked for it, without what else the pool has', async () => {
    const { alice, poolId, holdId, idOf } = await paidByPool();
    const explained = accounting.expect(200, await ask(alice, idOf('settle'))).body as unknown as Explanation;
    expect(explained).toMatchObject({
      userId: poolId,
      matches: true,
      faults: [],
      transaction: { holdId, type: 'settle', sequence: null, availableAfter: null, heldAfter: null },
      price: { units: { output: 20 }, credits: 20, bookedCredits: 20 },
      payment: { heldCredits: 30, chargedCredits: 20, fromHoldCredits: 20, releasedCredits: 10, lots: [] },
      lot: null,
    });
    expect(new Set(explained.transaction.entries.map(({ amount }) => amount))).toEqual(new Set([-30, 10, 20]));
    const { body } = accounting.expect(200, await ask(admin, idOf('settle')));
    expect(body).toMatchObject({
      transaction: { sequence: 3, availableAfter: 80, heldAfter: 0 },
      payment: { lots: [{ heldCredits: 30, paidCredits: 20 }] },
    });
  });

  it('is found by its usage record', async () => {
    const { alice, holdId, idOf } = await paidByPool();
    const { body } = await accounting.call('GET', '/api/usage/records', { token: alice.token });
    expect(body['records']).toMatchObject([{ holdId, transactionId: idOf('settle'), credits: 20 }]);
  });

  it('is not there for other members, nor is what else the pool got for anybody but staff', async () => {
    const { alice, bob, idOf } = await paidByPool();
    for (const type of ['hold', 'settle', 'grant']) expect((await ask(bob, idOf(type))).status).toBe(404);
    expect((await ask(alice, idOf('grant'))).status).toBe(404);
    expect((await ask(admin, idOf('grant'))).status).toBe(200);
  });
});
