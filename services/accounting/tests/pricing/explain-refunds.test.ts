import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';
import { order, paidIntent, PAYMENTS, refundedCharge, stripe } from '../payments/webhooks.ts';

let accounting: Accounting;
let admin: User;
beforeAll(async () => {
  accounting = await Accounting.start(PAYMENTS);
  admin = await accounting.user({ role: 'admin' });
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const refund = async (holdId: unknown, credits: number) =>
  accounting.expect(
    201,
    await accounting.call('POST', '/api/credits/refunds', {
      token: admin.token,
      body: { holdId, credits, reason: 'It was no answer' },
    }),
  );

/** Type, price and faults of every transaction of an account, oldest first. */
async function explained(accountId: string) {
  const { rows } = await accounting.db.query<{ id: string; type: string }>(
    'SELECT id, type FROM credit_transactions WHERE user_id = $1 AND hold_id IS NOT NULL ORDER BY account_seq',
    [accountId],
  );
  const all = [];
  for (const { id, type } of rows) {
    const { body } = await accounting.call('GET', `/api/credits/transactions/${id}/explain`, { token: admin.token });
    const price = body['price'] as { credits: number } | null;
    all.push([type, price?.credits ?? null, ...(body['faults'] as string[])]);
  }
  return all;
}

/** A hold of 100 that its lease closed at a checkpoint. */
async function swept(user: User, checkpoint: number): Promise<string> {
  const holdId = await accounting.held(user, 100);
  await accounting.renew(user, holdId, { checkpoint: { output: checkpoint } });
  await accounting.advanceClock(1);
  await accounting.flows.sweepHolds();
  return holdId;
}

describe('what people gave back', () => {
  it('leaves every transaction of the hold explained, in one part or in several', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 60);
    await accounting.settle(alice, holdId, 50);
    await refund(holdId, 20);
    await refund(holdId, 10);
    expect(await explained(alice.userId)).toEqual([
      ['hold', 60],
      ['settle', 50],
      ['refund', 50],
      ['refund', 50],
    ]);
  });

  it('of a charge that was written off in part, or of a deduction, is explained as well', async () => {
    const alice = await accounting.user({ credits: 60 });
    const holdId = await accounting.held(alice, 50);
    await accounting.settle(alice, holdId, 90);
    await refund(holdId, 60);
    expect(await explained(alice.userId)).toEqual([
      ['hold', 50],
      ['settle', 90],
      ['refund', 90],
    ]);
    const bob = await accounting.user({ credits: 60 });
    await accounting.call('POST', '/api/credits/deduct', { token: bob.token, body: { credits: 40 } });
    const { rows } = await accounting.db.query('SELECT id FROM streaming_sessions WHERE user_id = $1', [bob.userId]);
    await refund(rows[0].id, 15);
    expect((await explained(bob.userId)).flatMap(([, , ...faults]) => faults)).toEqual([]);
  });

  it('before a late settlement is left out of what that one charges, and counted in what that one gives back', async () => {
    const alice = await accounting.user({ credits: 200 });
    const down = await swept(alice, 60);
    await refund(down, 10);
    await accounting.settle(alice, down, 30);
    await refund(down, 5);
    expect(await explained(alice.userId)).toEqual([
      ['hold', 100],
      ['settle', 60],
      ['refund', 60],
      ['refund', 30],
      ['refund', 60],
    ]);
    const bob = await accounting.user({ credits: 200 });
    const up = await swept(bob, 60);
    await refund(up, 10);
    await accounting.settle(bob, up, 80);
    expect(await explained(bob.userId)).toEqual([
      ['hold', 100],
      ['settle', 60],
      ['refund', 60],
      ['late_settle', 80],
    ]);
  });

  it('by the payment itself in part takes a part of its lot, which is explained without calling it revoked', async () => {
    const bought = await order(accounting, 100);
    await stripe(accounting, 'payment_intent.succeeded', paidIntent(bought));
    await stripe(accounting, 'charge.refunded', refundedCharge(bought, bought.amount / 2));
    const { rows } = await accounting.db.query(
      "SELECT id FROM credit_transactions WHERE user_id = $1 AND type = 'revoke'",
      [bought.alice.userId],
    );
    const path = `/api/credits/transactions/${rows[0].id}/explain`;
    expect((await accounting.call('GET', path, { token: bought.alice.token })).body).toMatchObject({
      matches: true,
      faults: [],
    });
  });
});
