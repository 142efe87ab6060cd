import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting } from '../harness/accounting.ts';
import { counted } from './counted.ts';
import {
  ledgerSeconds,
  OLD_STRIPE_SECRET,
  type Order,
  order,
  paidIntent,
  paidSession,
  PAYMENTS,
  post,
  standard,
  standardHeaders,
  stripe,
  stripeHeaders,
} from './webhooks.ts';

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

describe('an order', () => {
  it('costs what its credits cost, in whole cents rounded up, and grants nothing by itself', async () => {
    const alice = await accounting.user();
    const { status, body } = await accounting.call('POST', '/api/topups', {
      token: alice.token,
      body: { credits: 1001 },
    });
    expect([status, body]).toEqual([
      201,
      {
        orderId: expect.any(String),
        provider: 'stripe',
        credits: 1001,
        amount: 1001,
        currency: 'USD',
        state: 'pending',
        createdAt: expect.any(String),
        changedAt: expect.any(String),
      },
    ]);
    expect(await accounting.balance(alice)).toEqual({ available: 0, held: 0 });
  });

  it('is within the sizes that are sold', async () => {
    const { token } = await accounting.user();
    for (const credits of [49, 10_001])
      expect(await accounting.call('POST', '/api/topups', { token, body: { credits } })).toMatchObject({ status: 422 });
    for (const credits of [0, -5, 1.5])
      expect(await accounting.call('POST', '/api/topups', { token, body: { credits } })).toMatchObject({ status: 422 });
  });

  it('is made once for a repeated key, seen by its owner alone, and listed newest first', async () => {
    const alice = await accounting.user();
    const bob = await accounting.user();
    const make = (credits: number, key = randomUUID() as string) =>
      accounting.call('POST', '/api/topups', { token: alice.token, body: { credits }, key });
    const key = randomUUID();
    const [first, again] = [await make(100, key), await make(100, key)];
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const second = await make(200);
    const list = async (query: string) =>
      (await accounting.call('GET', `/api/topups?${query}`, { token: alice.token })).body;
    const page = await list('limit=1');
    expect((page['topups'] as object[]).map((one) => Reflect.get(one, 'orderId'))).toEqual([second.body['orderId']]);
    const next = await list(`limit=5&cursor=${page['nextCursor']}`);
    expect(next).toMatchObject({ topups: [{ orderId: first.body['orderId'] }], nextCursor: null });
    const stolen = await accounting.call('GET', `/api/topups/${first.body['orderId']}`, { token: bob.token });
    expect(stolen.status).toBe(404);
  });
});

describe('a payment', () => {
  it('case 51: grants once although its events come five times and out of order', async () => {
    const bought = await order(accounting, 500);
    const [intent, session] = [`evt_${randomUUID()}`, `evt_${randomUUID()}`];
    const answers = await Promise.all([
      stripe(accounting, 'checkout.session.completed', paidSession(bought), session),
      stripe(accounting, 'payment_intent.payment_failed', paidIntent(bought)),
      stripe(accounting, 'payment_intent.succeeded', paidIntent(bought), intent),
      stripe(accounting, 'payment_intent.succeeded', paidIntent(bought), intent),
      stripe(accounting, 'checkout.session.completed', paidSession(bought), session),
    ]);
    answers.push(await stripe(accounting, 'payment_intent.succeeded', paidIntent(bought), intent));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(answers.filter(({ body }) => body['repeated'] === true)).toHaveLength(3);
    expect(await accounting.balance(bought.alice)).toEqual({ available: 500, held: 0 });
    expect([await lotsOf(bought), await stateOf(bought)]).toEqual([1, 'paid']);
    // A failure that arrives late changes nothing.
    await stripe(accounting, 'payment_intent.payment_failed', paidIntent(bought));
    expect(await stateOf(bought)).toBe('paid');
  });

  it('case 52: grants nothing for a forged event, an empty secret, or an order of another provider, and tells so', async () => {
    const bought = await order(accounting, 500);
    const before = await counted(accounting, 'payment_refused');
    const body = JSON.stringify({
      id: 'evt_1',
      type: 'payment_intent.succeeded',
      data: { object: paidIntent(bought) },
    });
    const now = await ledgerSeconds(accounting);
    const forgeries = [
      {},
      { 'stripe-signature': '' },
      { 'stripe-signature': `t=${now},v1=` },
      stripeHeaders(body, now, ''),
      stripeHeaders(body, now, 'whsec_guess'),
      stripeHeaders(`${body} `, now),
      stripeHeaders(body, now - 301),
      // Ahead by more than the tolerance, also when the calls before it were slow.
      stripeHeaders(body, now + 360),
      { 'stripe-signature': stripeHeaders(body, now)['stripe-signature']?.replace('v1=', 'v0=') },
    ];
    for (const headers of forgeries)
      expect(await post(accounting, 'stripe', body, headers)).toMatchObject({
        status: 400,
        body: { code: 'invalid_signature' },
      });
    // A genuine event of one provider about an order of another.
    const { orderId, amount, paymentId } = bought;
    expect(
      await standard(accounting, 'payment.succeeded', { orderId, paymentId, amount, currency: 'USD' }),
    ).toMatchObject({ status: 422, body: { code: 'payment_mismatch' } });
    expect(await accounting.balance(bought.alice)).toEqual({ available: 0, held: 0 });
    expect(await stateOf(bought)).toBe('pending');
    expect((await counted(accounting, 'payment_refused')) - before).toBe(forgeries.length + 1);
    expect(
      await accounting.number(
        "SELECT count(*) AS value FROM payment_events WHERE outcome = 'applied' AND order_id = $1",
        [orderId],
      ),
    ).toBe(0);
  });

  it.each([
    ['less money', { amount_received: 1 }],
    ['more money', { amount_received: 501 }],
    ['no amount', { amount_received: undefined }],
    ['another currency', { currency: 'jpy' }],
    ['an order that nobody made', { metadata: { tollgate_order_id: randomUUID() } }],
    ['no name of its own', { id: undefined }],
  ])('grants nothing for %s, and the order can still be paid', async (_what, change) => {
    const bought = await order(accounting, 500);
    const id = `evt_${randomUUID()}`;
    const wrong = { ...paidIntent(bought), ...change };
    for (const attempt of [1, 2])
      expect([attempt, (await stripe(accounting, 'payment_intent.succeeded', wrong, id)).status]).toEqual([
        attempt,
        422,
      ]);
    expect(await accounting.balance(bought.alice)).toEqual({ available: 0, held: 0 });
    expect(await stripe(accounting, 'payment_intent.succeeded', paidIntent(bought))).toMatchObject({ status: 200 });
    expect(await accounting.balance(bought.alice)).toEqual({ available: 500, held: 0 });
  });

  it('pays for one order only', async () => {
    const [first, second] = [await order(accounting, 500), await order(accounting, 500)];
    await stripe(accounting, 'payment_intent.succeeded', paidIntent(first));
    const reused = paidIntent({ ...second, paymentId: first.paymentId });
    expect(await stripe(accounting, 'payment_intent.succeeded', reused)).toMatchObject({ status: 422 });
    expect(await accounting.balance(second.alice)).toEqual({ available: 0, held: 0 });
  });

  it('is acknowledged and changes nothing when it is of an unknown type or not about an order', async () => {
    const bought = await order(accounting, 500);
    const ignored = { status: 200, body: { received: true, outcome: 'ignored', repeated: false } };
    expect(await stripe(accounting, 'customer.created', paidIntent(bought))).toMatchObject(ignored);
    expect(await stripe(accounting, 'toString', paidIntent(bought))).toMatchObject(ignored);
    expect(await stripe(accounting, 'payment_intent.succeeded', { ...paidIntent(bought), metadata: {} })).toMatchObject(
      ignored,
    );
    const unpaid = { ...paidSession(bought), payment_status: 'unpaid' };
    expect(await stripe(accounting, 'checkout.session.completed', unpaid)).toMatchObject(ignored);
    expect(await stateOf(bought)).toBe('pending');
    expect(
      await accounting.number("SELECT count(*) AS value FROM payment_events WHERE type = 'customer.created'"),
    ).toBe(1);
  });

  it('counts under the secret that is being replaced, and through the other provider', async () => {
    const bought = await order(accounting, 100);
    const body = JSON.stringify({
      id: `evt_${randomUUID()}`,
      type: 'payment_intent.succeeded',
      data: { object: paidIntent(bought) },
    });
    const headers = stripeHeaders(body, await ledgerSeconds(accounting), OLD_STRIPE_SECRET);
    expect((await post(accounting, 'stripe', body, headers)).status).toBe(200);
    expect(await accounting.balance(bought.alice)).toEqual({ available: 100, held: 0 });

    const other = await order(accounting, 100, 'standard');
    const { orderId, amount, paymentId } = other;
    expect(
      await standard(accounting, 'payment.succeeded', { orderId, paymentId, amount, currency: 'usd' }),
    ).toMatchObject({
      status: 200,
      body: { outcome: 'applied' },
    });
    expect(await accounting.balance(other.alice)).toEqual({ available: 100, held: 0 });
    expect((await post(accounting, 'standard', '{}', standardHeaders('{}', 1, 'msg_1'))).status).toBe(400);
  });

  it('is refused when it cannot be read, or comes from a provider that nobody knows', async () => {
    expect((await post(accounting, 'paypal', '{}', {})).status).toBe(400);
    const body = 'not json';
    const headers = stripeHeaders(body, await ledgerSeconds(accounting));
    expect((await post(accounting, 'stripe', body, headers)).body).toMatchObject({ code: 'malformed_json' });
    // Not acknowledged: whoever paid would otherwise wait for ever.
    const garbled = { id: 'pi_1', amount_received: 'five', currency: 'usd' };
    expect((await stripe(accounting, 'payment_intent.succeeded', garbled)).status).toBe(400);
  });
});

describe('without a provider', () => {
  it('nothing can be ordered and no event is accepted', async () => {
    const bare = await Accounting.start();
    try {
      const { token } = await bare.user();
      expect((await bare.call('POST', '/api/topups', { token, body: { credits: 5000 } })).status).toBe(404);
      const headers = stripeHeaders('{}', await ledgerSeconds(bare), '');
      expect((await post(bare, 'stripe', '{}', headers)).status).toBe(404);
    } finally {
      await bare.stop();
    }
  });
});
