import { accounting } from '@tollgate/contracts';

/** What an event says that is of any interest here. Amounts are in the smallest unit of the currency. */
export type PaymentFact = Readonly<{
  eventId: string;
  type: string;
  kind: 'paid' | 'failed' | 'refunded' | 'charged_back' | 'other';
  orderId?: string | undefined;
  paymentId?: string | undefined;
  /** What was paid; of a refund, all that was refunded of the payment so far. */
  amount?: number | undefined;
  currency?: string | undefined;
}>;

/** How each type of event is read; what is not here is acknowledged and changes nothing. */
const STRIPE_TYPES: Readonly<Record<string, (object: accounting.StripeObject) => Partial<PaymentFact>>> = {
  'checkout.session.completed': (session) => sessionFact(session, session.payment_status === 'paid' ? 'paid' : 'other'),
  'checkout.session.async_payment_succeeded': (session) => sessionFact(session, 'paid'),
  'checkout.session.async_payment_failed': (session) => sessionFact(session, 'failed'),
  'checkout.session.expired': (session) => sessionFact(session, 'failed'),
  'payment_intent.succeeded': ({ id, amount_received }) => ({
    kind: 'paid',
    paymentId: id,
    ...amountOf(amount_received),
  }),
  'payment_intent.payment_failed': ({ id }) => ({ kind: 'failed', paymentId: id }),
  'charge.refunded': ({ payment_intent, amount_refunded }) => ({
    kind: 'refunded',
    paymentId: payment_intent ?? undefined,
    ...amountOf(amount_refunded),
  }),
  'charge.dispute.created': ({ payment_intent, amount }) => ({
    kind: 'charged_back',
    paymentId: payment_intent ?? undefined,
    ...amountOf(amount),
  }),
};

const amountOf = (amount: number | null | undefined) => ({ amount: amount ?? undefined });

const sessionFact = (session: accounting.StripeObject, kind: PaymentFact['kind']): Partial<PaymentFact> => ({
  kind,
  paymentId: session.payment_intent ?? undefined,
  ...amountOf(session.amount_total),
});

/**
 * What a Stripe event says; undefined when it cannot be read, which for a type that matters is better told than acknowledged:
 * somebody may have paid.
 */
export function stripeFact(event: unknown): PaymentFact | undefined {
  const read = accounting.StripeEvent.safeParse(event);
  if (!read.success) return undefined;
  const { id: eventId, type, data } = read.data;
  const factOf = Object.hasOwn(STRIPE_TYPES, type) ? STRIPE_TYPES[type] : undefined;
  if (!factOf) return { eventId, type, kind: 'other' };
  const object = accounting.StripeObject.safeParse(data.object);
  if (!object.success) return undefined;
  const { metadata, currency } = object.data;
  return {
    eventId,
    type,
    kind: 'other',
    orderId: metadata?.tollgate_order_id,
    currency: currency ?? undefined,
    ...factOf(object.data),
  };
}

const STANDARD_KINDS: Readonly<Record<string, PaymentFact['kind']>> = {
  'payment.succeeded': 'paid',
  'payment.failed': 'failed',
  'payment.refunded': 'refunded',
  'payment.charged_back': 'charged_back',
};
const LONGEST_ID = 255;

/** The same of an event in the form of docs/payments.md; its id is the one in the signed headers. */
export function standardFact(event: unknown, eventId: string): PaymentFact | undefined {
  const read = accounting.StandardEvent.safeParse(event);
  if (!read.success || eventId === '' || eventId.length > LONGEST_ID) return undefined;
  const { type, data } = read.data;
  const kind = Object.hasOwn(STANDARD_KINDS, type) ? STANDARD_KINDS[type] : undefined;
  if (!kind) return { eventId, type, kind: 'other' };
  const payment = accounting.StandardPayment.safeParse(data);
  return payment.success ? { eventId, type, kind, ...payment.data } : undefined;
}
