import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting } from '../harness/accounting.ts';
import { dispute, type Order, order, paidIntent, PAYMENTS, refundedCharge, standard, stripe } from './webhooks.ts';

let accounting: Accounting;
beforeAll(async () => {
  accounting = await Accounting.start(PAYMENTS);
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const stateOf = async ({ alice, orderId }: Order) =>
  (await accounting.call('GET', `/api/topups/${orderId}`, { token: alice.token })).body['state'];
const lotsOf = ({ alice }: Order) =>
  accounting.number("SELECT count(*) AS value FROM credit_allocations WHERE user_id = $1 AND source = 'topup'", [
    alice.userId,
  ]);

describe('money that went back', () => {
  const flag = async ({ alice }: Order) => {
    const admin = await accounting.user({ role: 'admin' });
    const supervisor = await accounting.user({ role: 'supervisor' });
    const read = async ({ token }: { token: string }) =>
      (await accounting.call('GET', `/api/credits/balance/${alice.userId}`, { token })).body;
    expect(await read(supervisor)).not.toHaveProperty('flaggedReason');
    return (await read(admin))['flaggedReason'];
  };
  const paid = async (credits: number) => {
    const bought = await order(accounting, credits);
    accounting.expect(200, await stripe(accounting, 'payment_intent.succeeded', paidIntent(bought)));
    return bought;
  };
  const writtenOff = ({ alice }: Order) =>
    accounting.number(
      `SELECT coalesce(-sum(e.amount), 0) AS value FROM credit_entries e JOIN credit_transactions t ON t.id = e.transaction_id
       WHERE t.user_id = $1 AND e.account = 'writeoff'`,
      [alice.userId],
    );

  it('takes what remains of its lot; what was spent is written off, and the account is flagged', async () => {
    const bought = await paid(500);
    await accounting.grant(bought.alice, { credits: 40 });
    // A gift is burnt first.
    await accounting.settle(bought.alice, await accounting.held(bought.alice, 140), 140);
    for (const id of ['evt_a', 'evt_a', 'evt_b'])
      expect((await stripe(accounting, 'charge.dispute.created', dispute(bought), id + bought.paymentId)).status).toBe(
        200,
      );
    expect(await accounting.balance(bought.alice)).toEqual({ available: 0, held: 0 });
    expect([await stateOf(bought), await writtenOff(bought)]).toEqual(['charged_back', 100]);
    expect(await flag(bought)).toBe(`Payment charged back: order ${bought.orderId}`);
    // Nothing brings the order back.
    await stripe(accounting, 'payment_intent.succeeded', paidIntent(bought));
    expect([await stateOf(bought), await lotsOf(bought)]).toEqual(['charged_back', 1]);
  });

  it('leaves what is held to settle, and takes the rest of it when it is released', async () => {
    const bought = await paid(100);
    const holdId = await accounting.held(bought.alice, 60);
    await stripe(accounting, 'charge.dispute.created', dispute(bought));
    expect(await accounting.balance(bought.alice)).toEqual({ available: 0, held: 60 });
    await accounting.settle(bought.alice, holdId, 10);
    expect(await accounting.balance(bought.alice)).toEqual({ available: 0, held: 0 });
  });

  it('takes the same part of the credits as of the money, however often it is said', async () => {
    const bought = await paid(500);
    await stripe(accounting, 'charge.refunded', refundedCharge(bought, 125));
    await stripe(accounting, 'charge.refunded', refundedCharge(bought, 125));
    expect(await accounting.balance(bought.alice)).toEqual({ available: 375, held: 0 });
    expect(await stateOf(bought)).toBe('paid');
    await stripe(accounting, 'charge.refunded', refundedCharge(bought));
    // The first one, late.
    await stripe(accounting, 'charge.refunded', refundedCharge(bought, 125));
    expect(await accounting.balance(bought.alice)).toEqual({ available: 0, held: 0 });
    expect(await stateOf(bought)).toBe('refunded');
    expect((await stripe(accounting, 'charge.refunded', refundedCharge(bought, 501))).status).toBe(422);
  });

  it('is waited for when it overtakes its payment, which then grants nothing, or only the part that stayed', async () => {
    const [whole, part] = [await order(accounting, 500), await order(accounting, 500)];
    expect(await stripe(accounting, 'charge.dispute.created', dispute(whole))).toMatchObject({
      body: { outcome: 'waiting' },
    });
    await stripe(accounting, 'charge.refunded', refundedCharge(part, 100));
    for (const bought of [whole, part]) await stripe(accounting, 'payment_intent.succeeded', paidIntent(bought));
    expect(await accounting.balance(whole.alice)).toEqual({ available: 0, held: 0 });
    expect([await stateOf(whole), await lotsOf(whole)]).toEqual(['charged_back', 0]);
    expect(await accounting.balance(part.alice)).toEqual({ available: 400, held: 0 });
    expect(await stateOf(part)).toBe('paid');
  });

  it('becomes a debt where the policy says so', async () => {
    const strict = await Accounting.start({ ...PAYMENTS, OVERRUN_POLICY: 'debt' });
    try {
      const bought = await order(strict, 500, 'standard');
      const { alice, orderId, amount, paymentId } = bought;
      const said = { orderId, paymentId, amount, currency: 'USD' };
      await standard(strict, 'payment.succeeded', said);
      await strict.settle(alice, await strict.held(alice, 300), 300);
      await standard(strict, 'payment.charged_back', said);
      expect(await strict.balance(alice)).toEqual({ available: 0, held: 0 });
      expect(await strict.number('SELECT debt_credits AS value FROM user_accounts WHERE id = $1', [alice.userId])).toBe(
        300,
      );
      await strict.grant(alice, { credits: 350 });
      expect(await strict.balance(alice)).toEqual({ available: 50, held: 0 });
      expect(await strict.faults()).toEqual([]);
    } finally {
      await strict.stop();
    }
  });
});
