import { z } from 'zod';
import { Uuid } from '../ids.ts';

// What of a payment provider's event is read; everything else in it is of no interest here.

const Name = z.string().min(1).max(255);
const Amount = z.int().min(0);
const Currency = z.string().length(3).toUpperCase();

/** A payment, checkout session, charge or dispute. The shop puts our order's id into its metadata. */
export const StripeObject = z.object({
  id: Name.optional(),
  // An order id that is none of ours is like none.
  metadata: z.object({ tollgate_order_id: Uuid.optional().catch(undefined) }).nullish(),
  payment_intent: Name.nullish(),
  payment_status: Name.nullish(),
  amount_total: Amount.nullish(),
  amount_received: Amount.nullish(),
  amount_refunded: Amount.nullish(),
  amount: Amount.nullish(),
  currency: Currency.nullish(),
});
export type StripeObject = z.infer<typeof StripeObject>;

/** What `object` is depends on the type. */
export const StripeEvent = z.object({ id: Name, type: Name, data: z.object({ object: z.unknown() }) });

export const StandardPayment = z.object({
  orderId: Uuid.optional().catch(undefined),
  paymentId: Name.optional(),
  amount: Amount.optional(),
  currency: Currency.optional(),
});

/** The form of docs/payments.md, for a shop that signs its own events (Standard Webhooks). */
export const StandardEvent = z.object({ type: Name, data: z.unknown() });
