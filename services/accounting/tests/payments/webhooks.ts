import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import type { Accounting, User } from '../harness/accounting.ts';
import type { Answer } from '../harness/http.ts';

const random = (bytes: number) => randomBytes(bytes).toString('base64');
const STRIPE_SECRET = `whsec_${random(30)}`;
export const OLD_STRIPE_SECRET = `whsec_${random(30)}`;
const STANDARD_SECRET = `whsec_${random(30)}`;

/** An installation with both providers, a dollar for 100 credits. */
export const PAYMENTS = {
  PAYMENT_PROVIDERS: 'stripe,standard',
  STRIPE_WEBHOOK_SECRET: `new:${STRIPE_SECRET},old:${OLD_STRIPE_SECRET}`,
  STANDARD_WEBHOOK_SECRET: STANDARD_SECRET,
  CREDITS_PER_USD: '100',
  TOPUP_MIN_CREDITS: '50',
  TOPUP_MAX_CREDITS: '10000',
};

/** The ledger's now, in seconds; the signatures count by it. */
export const ledgerSeconds = (accounting: Accounting): Promise<number> =>
  accounting.number('SELECT floor(extract(epoch FROM ledger_now())) AS value');

const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text);

export function stripeHeaders(body: string, at: number, secret = STRIPE_SECRET): Record<string, string> {
  return { 'stripe-signature': `t=${at},v1=${hmac(secret, `${at}.${body}`).digest('hex')}` };
}

export function standardHeaders(
  body: string,
  at: number,
  id: string,
  secret = STANDARD_SECRET,
): Record<string, string> {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  return {
    'webhook-id': id,
    'webhook-timestamp': String(at),
    'webhook-signature': `v1,${hmac(key, `${id}.${at}.${body}`).digest('base64')}`,
  };
}

/** Posts bytes as a provider does. */
export async function post(accounting: Accounting, provider: string, body: string, headers: object): Promise<Answer> {
  const response = await fetch(`${accounting.url}/api/payments/webhooks/${provider}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) };
}

export type StripeObject = Readonly<Record<string, unknown>>;

export async function stripe(accounting: Accounting, type: string, object: StripeObject, id = `evt_${randomUUID()}`) {
  const body = JSON.stringify({ id, object: 'event', type, data: { object } });
  return post(accounting, 'stripe', body, stripeHeaders(body, await ledgerSeconds(accounting)));
}

export async function standard(accounting: Accounting, type: string, data: object, id = `msg_${randomUUID()}`) {
  const body = JSON.stringify({ type, data });
  return post(accounting, 'standard', body, standardHeaders(body, await ledgerSeconds(accounting), id));
}

export type Order = Readonly<{ orderId: string; credits: number; amount: number; paymentId: string; alice: User }>;

export async function order(accounting: Accounting, credits: number, provider?: string): Promise<Order> {
  const alice = await accounting.user();
  const body = { credits, ...(provider !== undefined && { provider }) };
  const answer = accounting.expect(201, await accounting.call('POST', '/api/topups', { token: alice.token, body }));
  const { orderId, amount } = answer.body;
  return { orderId: String(orderId), amount: Number(amount), credits, paymentId: `pi_${randomUUID()}`, alice };
}

export const paidIntent = ({ orderId, amount, paymentId }: Order): StripeObject => ({
  id: paymentId,
  object: 'payment_intent',
  amount_received: amount,
  currency: 'usd',
  metadata: { tollgate_order_id: orderId },
});

export const paidSession = ({ orderId, amount, paymentId }: Order): StripeObject => ({
  id: `cs_${paymentId}`,
  object: 'checkout.session',
  payment_status: 'paid',
  amount_total: amount,
  currency: 'usd',
  payment_intent: paymentId,
  metadata: { tollgate_order_id: orderId },
});

/** A refund of Stripe names the payment; the order only when the shop copied its metadata. */
export const refundedCharge = ({ paymentId, amount }: Order, refunded = amount): StripeObject => ({
  id: `ch_${paymentId}`,
  object: 'charge',
  payment_intent: paymentId,
  amount,
  amount_refunded: refunded,
  currency: 'usd',
  metadata: {},
});

export const dispute = ({ paymentId, amount }: Order): StripeObject => ({
  id: `dp_${paymentId}`,
  object: 'dispute',
  payment_intent: paymentId,
  amount,
  currency: 'usd',
  metadata: {},
});
