import { z } from 'zod';
import { Credits } from '../credits.ts';
import { Timestamp } from '../ids.ts';
import { LedgerHead } from './ledger-heads.ts';
import { TenantSettings } from './tenant.ts';

/** Which threshold was crossed: a share (`value` percent of `baseCredits`) or an amount, and what that is in credits. */
export const AlertThreshold = z.object({ kind: z.enum(['percent', 'credits']), value: Credits, credits: Credits });

/** Of the request that caused it, by which all logs and the ledger name it; none where the clock did. Older events lack it. */
const RequestId = z.string().max(200).nullish();

const Details = z.record(z.string(), z.unknown());

/** What each type of event tells; docs/webhooks.md describes them for receivers. */
export const OUTBOX_EVENTS = {
  'credits.low': z.object({
    userId: z.string(),
    availableCredits: Credits,
    heldCredits: Credits,
    /** What the account had right after its last grant. */
    baseCredits: Credits,
    threshold: AlertThreshold,
    transactionId: z.int(),
    requestId: RequestId,
  }),
  /** One invariant that a reconciliation found broken, as in the answer of verifyLedger. */
  'ledger.drift': z.object({
    invariant: z.string(),
    title: z.string(),
    offenders: z.int().min(1),
    first: Details.nullable(),
  }),
  'ledger.head': LedgerHead,
  /** A charge that neither its hold nor the balance covered; what the hold came to. */
  'usage.overrun': z.object({
    /** Who asked; `payerId` owes it, which is the pool of a workspace or the same person. */
    userId: z.string(),
    payerId: z.string(),
    holdId: z.string(),
    chargedCredits: Credits,
    overrunCredits: Credits,
    writtenOffCredits: Credits,
    debtCredits: Credits,
    requestId: RequestId,
  }),
  'tenant.changed': z.object({
    actor: z.string(),
    requestId: z.string(),
    before: TenantSettings,
    after: TenantSettings,
  }),
} as const satisfies Record<string, z.ZodObject>;

export type OutboxEventType = keyof typeof OUTBOX_EVENTS;
export const OUTBOX_EVENT_TYPES = Object.keys(OUTBOX_EVENTS) as OutboxEventType[]; // they are its keys

const bodyOf = <Type extends OutboxEventType>(type: Type) =>
  z.object({ type: z.literal(type), timestamp: Timestamp, data: OUTBOX_EVENTS[type] });

/** The body of a webhook (Standard Webhooks): what happened, when, and to whom. */
export const OutboxEvent = z.discriminatedUnion('type', [
  bodyOf('credits.low'),
  bodyOf('ledger.drift'),
  bodyOf('ledger.head'),
  bodyOf('usage.overrun'),
  bodyOf('tenant.changed'),
]);
export type OutboxEvent = z.infer<typeof OutboxEvent>;
