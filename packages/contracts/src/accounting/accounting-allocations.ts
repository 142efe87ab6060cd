import { z } from 'zod';
import { line, notes } from './accounting-text.ts';
import { Adjustment, Amount, Credits, TargetBalance } from '../credits.ts';
import { Email, Timestamp } from '../ids.ts';
import { operation, PageQuery, withAliases } from '../operation.ts';

/** An account's id, its user name, or its e-mail address. */
const AccountName = line(254);
const Notes = notes(500);
const Reason = line(500);
/** Days a new lot lives; null: it never lapses. */
export const LotExpiryDays = z.int().min(1).max(3650).nullable();
const ExpiryDays = LotExpiryDays.default(30);
const SECOND_NAME = { totalCredits: 'credits' } as const;

export const LOT_SOURCES = ['admin', 'topup', 'promo', 'plan', 'refund', 'adjustment'] as const;

const MOST_NAMES = 50;
const names = (max: number) => z.array(line(max)).min(1).max(MOST_NAMES);

/** Which requests a lot pays for; what is absent lets every request pass. */
export const LotFilter = {
  models: names(200).optional(),
  upstreams: names(64).optional(),
  workspaceId: line(64).optional(),
};

/** What only an admin may say about a new lot. */
const LotTerms = {
  source: z.enum(['admin', 'promo', 'plan']).optional(),
  /** 0 is spent first; 100 when absent. */
  priority: z.int().min(0).max(1000).optional(),
  /** By the clock of the database; now when absent. */
  effectiveAt: Timestamp.optional(),
  /** Instead of `expiryDays`. */
  expiresAt: Timestamp.optional(),
  /** The period that a lot of a plan refills; each has one lot, for ever. */
  period: line(64).optional(),
  ...LotFilter,
  /** 30 when neither this nor `expiresAt` is there; null: it never lapses. */
  expiryDays: LotExpiryDays.optional(),
};

type Terms = { source?: string | undefined; period?: unknown; expiresAt?: unknown; expiryDays?: unknown };
const hasOneEnd = ({ expiresAt, expiryDays }: Terms) => expiresAt === undefined || expiryDays === undefined;
const namesPeriodOfPlan = ({ source, period }: Terms) => (source === 'plan') === (period !== undefined);
const ONE_END = 'needs at most one of expiresAt and expiryDays';
const PERIOD_OF_PLAN = 'a lot of a plan, and no other, needs a period';

const NewAllocation = z.object({
  id: z.int(),
  userId: z.string(),
  totalCredits: Credits,
  credits: Credits,
  remainingCredits: Credits,
  expiresAt: Timestamp.nullable(),
});

const MONEY_ERRORS = [
  'NOT_FOUND',
  'ALLOCATION_CAP_EXCEEDED',
  'IDEMPOTENCY_IN_PROGRESS',
  'IDEMPOTENCY_KEY_REUSED',
] as const;

const GRANT_ERRORS = [...MONEY_ERRORS, 'INVALID_AMOUNT', 'ALREADY_GRANTED'] as const;

export const allocateCredits = operation({
  id: 'allocateCredits',
  method: 'POST',
  path: '/api/credits/allocate',
  summary: 'Grant credits to a user as a new lot',
  permission: 'credits:allocate',
  idempotencyKey: 'required',
  status: 201,
  body: withAliases(
    z
      .strictObject({ userId: AccountName, credits: Amount, notes: Notes.optional(), ...LotTerms })
      .refine(hasOneEnd, ONE_END)
      .refine(namesPeriodOfPlan, PERIOD_OF_PLAN),
    SECOND_NAME,
  ),
  result: NewAllocation,
  errors: GRANT_ERRORS,
  invalidDetail: 'Valid userId and credits required',
});

export const allocateByEmail = operation({
  id: 'allocateByEmail',
  method: 'POST',
  path: '/api/credits/allocate-by-email',
  summary: 'Grant credits to the user with an e-mail address',
  permission: 'credits:allocate-by-email',
  idempotencyKey: 'required',
  status: 201,
  body: withAliases(
    z
      .strictObject({ email: Email, credits: Amount, notes: Notes.optional(), ...LotTerms })
      .refine(hasOneEnd, ONE_END)
      .refine(namesPeriodOfPlan, PERIOD_OF_PLAN),
    SECOND_NAME,
  ),
  result: NewAllocation.extend({ email: z.string() }),
  errors: GRANT_ERRORS,
  invalidDetail: 'Valid email and credits required',
});

const Changed = z.object({
  userId: z.string(),
  previousCredits: Credits,
  newCredits: Credits,
  message: z.string(),
});

export const setCredits = operation({
  id: 'setCredits',
  method: 'POST',
  path: '/api/credits/set',
  summary: 'Bring a balance to an amount by one adjustment; lots and history stay',
  permission: 'credits:allocate',
  idempotencyKey: 'required',
  body: withAliases(
    z.strictObject({ userId: AccountName, credits: TargetBalance, expiryDays: ExpiryDays, notes: Notes.optional() }),
    SECOND_NAME,
  ),
  result: Changed,
  errors: MONEY_ERRORS,
  invalidDetail: 'Valid userId and credits required',
});

export const removeCredits = operation({
  id: 'removeCredits',
  method: 'DELETE',
  path: '/api/credits/remove',
  summary: 'Take credits away from a user, with a reason',
  permission: 'credits:allocate',
  idempotencyKey: 'required',
  body: withAliases(z.strictObject({ userId: AccountName, credits: Amount, notes: Reason }), SECOND_NAME),
  result: Changed.extend({ removedCredits: Credits }),
  errors: [...MONEY_ERRORS, 'NEGATIVE_RESULT'],
  invalidDetail: 'Valid userId, credits and notes required',
});

export const adjustCredits = operation({
  id: 'adjustCredits',
  method: 'PUT',
  path: '/api/credits/adjust',
  summary: 'Raise or lower a balance, with a reason',
  permission: 'credits:allocate',
  idempotencyKey: 'required',
  body: z.strictObject({ userId: AccountName, adjustment: Adjustment, notes: Reason }),
  result: Changed.extend({ adjustment: z.int() }),
  errors: [...MONEY_ERRORS, 'NEGATIVE_RESULT'],
  invalidDetail: 'Valid userId, adjustment and notes required',
});

export const Allocation = NewAllocation.extend({
  heldCredits: Credits,
  consumedCredits: Credits,
  expiredCredits: Credits,
  revokedCredits: Credits,
  source: z.enum(LOT_SOURCES),
  priority: z.int(),
  allocatedBy: z.string(),
  allocatedAt: Timestamp,
  notes: z.string().nullable(),
  UserAccount: z.object({ username: z.string().nullable(), email: z.string().nullable() }),
});
export type Allocation = z.infer<typeof Allocation>;

export const listAllocations = operation({
  id: 'listAllocations',
  method: 'GET',
  path: '/api/credits/allocations/all',
  summary: 'All lots, newest first',
  permission: 'credits:read-any',
  query: PageQuery,
  result: z.object({ allocations: z.array(Allocation), nextCursor: z.string().nullable() }),
});

export const revokeAllocation = operation({
  id: 'revokeAllocation',
  method: 'DELETE',
  path: '/api/credits/allocations/:id',
  summary: 'Revoke what remains of a lot; a part that is held still settles. Repeating it changes nothing.',
  permission: 'credits:revoke',
  params: z.strictObject({ id: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER) }),
  result: z.object({
    id: z.int(),
    userId: z.string(),
    revokedCredits: Credits,
    heldCredits: Credits,
    message: z.string(),
  }),
  errors: ['NOT_FOUND'],
});
