import { Uuid } from '@tollgate/contracts';
import { z } from 'zod';

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

/** The name under which the shop hands our order id to Stripe. */
export const ORDER_METADATA = 'tollgate_order_id';

const Name = z.string().min(1).max(255);
const Amount = z.int().min(0);
const Currency = z.string().length(3).toUpperCase();

const StripeObject = z.object({
  id: Name.optional(),
  object: Name.optional(),
  // An order id that is none of ours is like none.
  metadata: z.object({ [ORDER_METADATA]: Uuid.optional().catch(undefined) }).nullish(),
  payment_intent: Name.nullish(),
  payment_status: Name.nullish(),
  amount_total: Amount.nullish(),
  amount_received: Amount.nullish(),
  amount_refunded: Amount.nullish(),
  amount: Amount.nullish(),
  currency: Currency.nullish(),
});
type StripeObject = z.infer<typeof StripeObject>;
const StripeEvent = z.object({ id: Name, type: Name, data: z.object({ object: StripeObject.catch({}) }) });

/** How each type of event is read; what is not here is acknowledged and changes nothing. */
const STRIPE_TYPES: Readonly<Record<string, (object: StripeObject) => Partial<PaymentFact>>> = {
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

const sessionFact = (session: StripeObject, kind: PaymentFact['kind']): Partial<PaymentFact> => ({
  kind,
  paymentId: session.payment_intent ?? undefined,
  ...amountOf(session.amount_total),
});

/** What a Stripe event says; undefined when it is no Stripe event. */
export function stripeFact(event: unknown): PaymentFact | undefined {
  const read = StripeEvent.safeParse(event);
  if (!read.success) return undefined;
  const { id, type, data } = read.data;
  const fact = Object.hasOwn(STRIPE_TYPES, type) ? STRIPE_TYPES[type]?.(data.object) : undefined;
  return {
    eventId: id,
    type,
    kind: 'other',
    orderId: data.object.metadata?.[ORDER_METADATA],
    currency: data.object.currency ?? undefined,
    ...fact,
  };
}

const STANDARD_KINDS: Readonly<Record<string, PaymentFact['kind']>> = {
  'payment.succeeded': 'paid',
  'payment.failed': 'failed',
  'payment.refunded': 'refunded',
  'payment.charged_back': 'charged_back',
};
const StandardEvent = z.object({
  type: Name,
  data: z
    .object({
      orderId: Uuid.optional().catch(undefined),
      paymentId: Name.optional(),
      amount: Amount.optional(),
      currency: Currency.optional(),
    })
    .catch({}),
});

/** What an event in the form of docs/payments.md says; its id is the one in the signed headers. */
export function standardFact(event: unknown, eventId: string): PaymentFact | undefined {
  const read = StandardEvent.safeParse(event);
  if (!read.success || eventId === '' || eventId.length > LONGEST_ID) return undefined;
  const { type, data } = read.data;
  const kind = Object.hasOwn(STANDARD_KINDS, type) ? STANDARD_KINDS[type] : undefined;
  return { eventId, type, kind: kind ?? 'other', ...data };
}

const LONGEST_ID = 255;
