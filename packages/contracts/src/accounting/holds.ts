import { z } from 'zod';
import { line, Metadata } from './accounting-text.ts';
import { Credits, MAX_AMOUNT, Price, Units } from '../credits.ts';
import { HoldId, Timestamp, WorkspaceId } from '../ids.ts';
import { REFUSALS } from './limits/limits.ts';
import { operation } from '../operation.ts';

/** What an answer is produced with: prices match on these names. */
export const Resource = z.strictObject({
  /** `flowise`, `openai`, or the configured name of an upstream. */
  upstream: line(64),
  model: line(200),
  chatflowId: line(200).optional(),
});
export type Resource = z.infer<typeof Resource>;

export const OUTCOMES = ['completed', 'failed', 'aborted', 'recovered'] as const;
export const Outcome = z.enum(OUTCOMES);
export type Outcome = z.infer<typeof Outcome>;

/** Where the settled units come from: the upstream's own count, our count while streaming, or a flat price per request. */
export const UsageSource = z.enum(['provider', 'estimated', 'flat', 'checkpoint']);
export type UsageSource = z.infer<typeof UsageSource>;

/** Why a running answer must end although its hold is still open. */
export const StopReason = z.enum(['account_disabled', 'workspace_disabled', 'key_revoked']);
export type StopReason = z.infer<typeof StopReason>;

export const HOLD_STATUSES = ['active', 'settled', 'voided', 'expired'] as const;

export const Hold = z.object({
  holdId: HoldId,
  status: z.enum(HOLD_STATUSES),
  heldCredits: Credits,
  /** A process that takes a hold over renews it with the next number; who then names an older one is refused. */
  fence: z.int().min(1),
  leaseExpiresAt: Timestamp,
  price: Price,
  /** The most units this hold pays for; the proxy sends `output` upstream as max_tokens. */
  units: Units,
  /** The balance did not cover what was asked, so `units.output` is lower than asked. */
  clamped: z.boolean(),
  /** Units produced so far, as the last renewal said; null when none has. */
  checkpoint: Units.nullable(),
  /** What the payer has left beside this hold. */
  availableCredits: Credits,
});
export type Hold = z.infer<typeof Hold>;

/** The final state of a hold; the same answer for every repetition of the call that closed it. */
export const ClosedHold = z.object({
  holdId: HoldId,
  status: z.enum(['settled', 'voided', 'expired']),
  outcome: Outcome.nullable(),
  heldCredits: Credits,
  /** What the user paid or owes for it. */
  chargedCredits: Credits,
  /** Back on the user's lots. */
  releasedCredits: Credits,
  /** The part of the rest whose lot lapsed or was revoked while it was held. */
  expiredCredits: Credits,
  /** Produced but not paid by the user: the balance did not cover it (policy `absorb`). */
  writtenOffCredits: Credits,
  /** Part of `chargedCredits` that the balance did not cover (policy `debt`); the next grant repays it. */
  debtCredits: Credits,
  availableCredits: Credits,
  /** Units produced so far, as the last renewal said; null when none has. */
  checkpoint: Units.nullable(),
  /**
   * The hold was closed before this call. A late settlement of a hold that its lease had closed still corrects the charge:
   * less is refunded, more is taken as far as the balance goes; everything else moves nothing.
   */
  alreadyFinal: z.boolean(),
});
export type ClosedHold = z.infer<typeof ClosedHold>;

/** As large as the database keeps it. */
const Fence = z.int().min(1).max(MAX_AMOUNT);
const holdParams = z.strictObject({ holdId: HoldId });

export const holdCredits = operation({
  id: 'holdCredits',
  method: 'POST',
  path: '/api/holds',
  summary: 'Reserve credits of the user for one answer, at most what `units` cost',
  permission: 'holds:write',
  idempotencyKey: 'required',
  status: 201,
  body: z.strictObject({
    /** Made and journalled by the caller before this call, so that a lost answer can be asked for again (and is the chat's request id). */
    holdId: HoldId,
    resource: Resource,
    /** An upper bound of what the answer may use; `request: 1` for the flat part. */
    units: Units,
    /** The smallest output worth producing; a poorer balance is refused with 402 instead of clamped. Absent: never clamp. */
    minOutput: z.int().min(1).max(1_000_000).optional(),
    /** For a caller without a token of its own, such as one with an API key. A workspace in the user's token wins. */
    workspaceId: WorkspaceId.optional(),
    apiKeyId: line(64).optional(),
    metadata: Metadata.optional(),
  }),
  result: Hold,
  errors: ['MODEL_NOT_PRICED', 'HOLD_CLOSED', 'IDEMPOTENCY_KEY_REUSED', ...REFUSALS],
});

export const readHold = operation({
  id: 'readHold',
  method: 'GET',
  path: '/api/holds/:holdId',
  summary: 'The state of a hold',
  permission: 'holds:write',
  params: holdParams,
  result: z.union([Hold, ClosedHold]),
  errors: ['NOT_FOUND'],
});

export const extendHold = operation({
  id: 'extendHold',
  method: 'POST',
  path: '/api/holds/:holdId/extend',
  summary: 'Raise a hold to what `units` cost; without `minOutput` it takes the whole difference or nothing',
  permission: 'holds:write',
  idempotencyKey: 'required',
  params: holdParams,
  body: z.strictObject({
    fence: Fence,
    units: Units,
    /** The smallest output worth going on for: a poorer balance raises the hold to what it buys. Absent: all or nothing. */
    minOutput: z.int().min(1).max(1_000_000).optional(),
    /** What the answer will come from instead, for example a fallback: the hold is priced by it from now on. */
    resource: Resource.optional(),
  }),
  result: Hold,
  errors: ['NOT_FOUND', 'HOLD_CLOSED', 'HOLD_FENCED', 'MODEL_NOT_PRICED', ...REFUSALS],
});

const Renewal = z.strictObject({
  holdId: HoldId,
  fence: Fence,
  /** Units produced so far; what the sweeper charges when nobody settles. Absent: nothing billable yet. */
  checkpoint: Units.optional(),
});

/** One call of a proxy for all of its running answers. Not bound to one user: the service token alone. */
export const renewHolds = operation({
  id: 'renewHolds',
  method: 'POST',
  path: '/api/holds/renew',
  summary: 'Renew the leases of up to 1,000 holds, with a progress checkpoint for each',
  permission: 'holds:write',
  body: z.strictObject({ holds: z.array(Renewal).min(1).max(1000) }),
  result: z.object({
    holds: z.array(
      z.object({
        holdId: HoldId,
        /** `stopped`: end the answer and settle what was produced; the lease was not renewed. */
        outcome: z.enum(['renewed', 'closed', 'fenced', 'unknown', 'stopped']),
        leaseExpiresAt: Timestamp.nullable(),
        /** Why it was stopped. */
        reason: StopReason.optional(),
      }),
    ),
  }),
  bodyLimit: 1_048_576,
});

export const renewHold = operation({
  id: 'renewHold',
  method: 'POST',
  path: '/api/holds/:holdId/renew',
  summary: 'Renew the lease of one hold',
  permission: 'holds:write',
  params: holdParams,
  body: Renewal.omit({ holdId: true }),
  result: z.object({ holdId: HoldId, leaseExpiresAt: Timestamp }),
  errors: ['NOT_FOUND', 'HOLD_CLOSED', 'HOLD_FENCED', 'ACCOUNT_DISABLED', 'KEY_REVOKED', 'WORKSPACE_DISABLED'],
});

export const settleHold = operation({
  id: 'settleHold',
  method: 'POST',
  path: '/api/holds/:holdId/settle',
  summary: 'Charge what was produced and release the rest; for ever idempotent per hold',
  permission: 'holds:write',
  idempotencyKey: 'required',
  params: holdParams,
  body: z.strictObject({
    outcome: Outcome,
    units: Units,
    usageSource: UsageSource,
    /** The upstream's own usage object, kept for disputes. */
    rawUsage: z.json().optional(),
    metadata: Metadata.optional(),
  }),
  result: ClosedHold,
  errors: ['NOT_FOUND'],
});

export const voidHold = operation({
  id: 'voidHold',
  method: 'POST',
  path: '/api/holds/:holdId/void',
  summary: 'Release the whole hold: nothing billable happened. A hold that has not arrived yet is refused when it does',
  permission: 'holds:write',
  idempotencyKey: 'required',
  params: holdParams,
  body: z.strictObject({
    reason: line(200),
    /** Refused before the upstream was asked: it does not count as a request of a limit. */
    refused: z.boolean().optional(),
    /** For a hold that nobody has heard of: one that has arrived meanwhile stays as it is, HOLD_ACTIVE. */
    unlessActive: z.boolean().optional(),
    metadata: Metadata.optional(),
  }),
  result: ClosedHold,
  errors: ['NOT_FOUND', 'HOLD_ACTIVE'],
});
