import { z } from 'zod';
import { Amount, Credits } from '../credits.ts';
import { Timestamp, Uuid } from '../ids.ts';
import { operation, PageQuery } from '../operation.ts';

export const PAYMENT_PROVIDERS = ['stripe', 'standard'] as const;
export type PaymentProvider = (typeof PAYMENT_PROVIDERS)[number];

export const TOPUP_STATES = ['pending', 'failed', 'paid', 'refunded', 'charged_back'] as const;

/** An order of credits. Only a signed event of its provider, over its amount and currency, pays it. */
export const TopUp = z.object({
  orderId: Uuid,
  provider: z.enum(PAYMENT_PROVIDERS),
  credits: Credits,
  /** In the smallest unit of the currency, such as cents. */
  amount: z.int().min(1),
  currency: z.string(),
  state: z.enum(TOPUP_STATES),
  createdAt: Timestamp,
  changedAt: Timestamp,
});

export const orderTopUp = operation({
  id: 'orderTopUp',
  method: 'POST',
  path: '/api/topups',
  summary: 'Order credits; the answer says what to pay, and its order id goes along with the payment',
  permission: 'topups:own',
  idempotencyKey: 'required',
  status: 201,
  body: z.strictObject({
    credits: Amount,
    /** Absent: the first one that is set up. */
    provider: z.enum(PAYMENT_PROVIDERS).optional(),
  }),
  result: TopUp,
  errors: ['NOT_FOUND', 'INVALID_AMOUNT', 'IDEMPOTENCY_IN_PROGRESS', 'IDEMPOTENCY_KEY_REUSED'],
});

export const listTopUps = operation({
  id: 'listTopUps',
  method: 'GET',
  path: '/api/topups',
  summary: 'Own orders, newest first',
  permission: 'topups:own',
  query: PageQuery,
  result: z.object({ topups: z.array(TopUp), nextCursor: z.string().nullable() }),
});

export const readTopUp = operation({
  id: 'readTopUp',
  method: 'GET',
  path: '/api/topups/:orderId',
  summary: 'The state of an own order',
  permission: 'topups:own',
  params: z.strictObject({ orderId: Uuid }),
  result: TopUp,
  errors: ['NOT_FOUND'],
});

const LARGEST_EVENT_BYTES = 262_144;

export const receivePayment = operation({
  id: 'receivePayment',
  method: 'POST',
  path: '/api/payments/webhooks/:provider',
  summary: 'What a payment provider says, signed by it; each event counts once',
  permission: 'public',
  params: z.strictObject({ provider: z.enum(PAYMENT_PROVIDERS) }),
  rawBody: true,
  bodyLimit: LARGEST_EVENT_BYTES,
  body: z.instanceof(Uint8Array).meta({ override: { type: 'object', description: 'An event of the provider' } }),
  result: z.object({
    received: z.literal(true),
    /** `ignored`: nothing of ours; `waiting`: for the payment that it takes back. */
    outcome: z.enum(['applied', 'ignored', 'waiting']),
    /** Whether the event was known already. */
    repeated: z.boolean(),
  }),
  errors: ['NOT_FOUND', 'INVALID_SIGNATURE', 'PAYMENT_MISMATCH', 'MALFORMED_JSON'],
});
