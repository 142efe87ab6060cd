import { z } from 'zod';
import { LOT_SOURCES } from './accounting-allocations.ts';
import { Format, line, notes } from './accounting-text.ts';
import { Amount, Credits, MAX_AMOUNT, Price, TargetBalance, Units } from '../credits.ts';
import { HoldId, Timestamp } from '../ids.ts';
import { operation, PageQuery, withAliases } from '../operation.ts';

/** A lot of a user: credits granted together, with one expiry. */
export const ActiveAllocation = z.object({
  id: z.int(),
  credits: Credits,
  expiresAt: Timestamp.nullable(),
  allocatedAt: Timestamp,
  source: z.enum(LOT_SOURCES),
  /** Lots are spent in this order; 0 first. */
  priority: z.int(),
  /** Which requests it pays for; null: every one. */
  models: z.array(z.string()).nullable(),
  upstreams: z.array(z.string()).nullable(),
  workspaceId: z.string().nullable(),
});

/** Whose credits pay for what the caller asks: its own, or the pool of its workspace. */
const Payer = z.enum(['user', 'workspace']);

/** `totalCredits`, `credits`, `remainingCredits` and `available` are one number: what can be spent now. */
export const Balance = z.object({
  totalCredits: Credits,
  credits: Credits,
  remainingCredits: Credits,
  available: Credits,
  /** Reserved by answers that are being produced. */
  held: Credits,
  payer: Payer,
  activeAllocations: z.array(ActiveAllocation),
});
export type Balance = z.infer<typeof Balance>;

export const readBalance = operation({
  id: 'readBalance',
  method: 'GET',
  path: '/api/credits/balance',
  summary: 'Own balance with the lots it consists of',
  permission: 'credits:read-own',
  result: Balance,
});

export const readTotalBalance = operation({
  id: 'readTotalBalance',
  method: 'GET',
  path: '/api/credits/total-balance',
  summary: 'Own balance as a number',
  permission: 'credits:read-own',
  result: z.object({
    totalCredits: Credits,
    credits: Credits,
    available: Credits,
    held: Credits,
    /** Part of `available` that lapses within seven days. */
    expiringSoon: Credits,
    payer: Payer,
  }),
});

export const readBalanceOfUser = operation({
  id: 'readBalanceOfUser',
  method: 'GET',
  path: '/api/credits/balance/:userId',
  summary: 'Balance of a user, found by id or e-mail address',
  permission: 'credits:read-any',
  params: z.strictObject({ userId: line(254) }),
  /** For admins: why the account needs a look, such as a payment that was charged back. */
  result: Balance.extend({ flaggedReason: z.string().nullable().optional() }),
  errors: ['NOT_FOUND'],
});

export const checkCredits = operation({
  id: 'checkCredits',
  method: 'POST',
  path: '/api/credits/check',
  summary: 'Whether the own balance covers an amount; reserves nothing',
  permission: 'credits:read-own',
  body: withAliases(z.strictObject({ requiredCredits: TargetBalance }), { credits: 'requiredCredits' }),
  result: z.union([
    z.object({ sufficient: z.literal(true), credits: Credits, requiredCredits: Credits }),
    z.object({ sufficient: z.literal(false), message: z.string(), credits: Credits, requiredCredits: Credits }),
  ]),
});

const TokenCount = z.int().min(0).max(MAX_AMOUNT);

export const calculateCredits = operation({
  id: 'calculateCredits',
  method: 'POST',
  path: '/api/credits/calculate',
  summary: 'What a request would cost at most: `tokens` counts as output, `units` names each class',
  permission: 'credits:read-own',
  body: z
    .strictObject({
      modelId: line(200),
      tokens: TokenCount.optional(),
      units: Units.optional(),
      upstream: line(64).default('openai'),
      chatflowId: line(200).optional(),
    })
    .refine(({ tokens, units }) => (tokens === undefined) !== (units === undefined), 'needs either tokens or units'),
  result: z.object({ credits: Credits, price: Price }),
  errors: ['MODEL_NOT_PRICED'],
  invalidDetail: 'Valid modelId and tokens required',
});

export const deductCredits = operation({
  id: 'deductCredits',
  method: 'POST',
  path: '/api/credits/deduct',
  summary: 'Spend credits of the own account at once',
  permission: 'credits:deduct-own',
  idempotencyKey: 'required',
  body: withAliases(z.strictObject({ credits: Amount, reason: notes(200).optional() }), {
    totalCredits: 'credits',
  }),
  result: z.object({
    success: z.literal(true),
    message: z.string(),
    remainingBalance: Credits,
    newBalance: Credits,
  }),
  errors: ['INSUFFICIENT_CREDITS', 'IDEMPOTENCY_IN_PROGRESS', 'IDEMPOTENCY_KEY_REUSED'],
  invalidDetail: 'Valid, positive credits amount required',
});

export const TRANSACTION_TYPES = [
  'grant',
  'hold',
  'extend',
  'settle',
  'void',
  'late_settle',
  'refund',
  'expire',
  'revoke',
  'adjustment',
] as const;

/** One balanced entry set of the ledger, seen from the account it belongs to. */
export const Transaction = z.object({
  id: z.int(),
  /** Position in the account's own gapless sequence. */
  sequence: z.int(),
  type: z.enum(TRANSACTION_TYPES),
  /** Change of what can be spent. */
  availableChange: z.int(),
  heldChange: z.int(),
  debtChange: z.int(),
  availableAfter: Credits,
  heldAfter: Credits,
  entries: z.array(z.object({ account: z.string(), amount: z.int() })),
  holdId: HoldId.nullable(),
  allocationId: z.int().nullable(),
  actor: z.string(),
  reason: z.string().nullable(),
  requestId: z.string().nullable(),
  createdAt: Timestamp,
});
export type Transaction = z.infer<typeof Transaction>;

export const listTransactions = operation({
  id: 'listTransactions',
  method: 'GET',
  path: '/api/credits/transactions',
  summary: 'Own ledger, newest first; as CSV all of it, up to 100,000 rows',
  permission: 'credits:read-own',
  query: PageQuery.extend({ format: Format }),
  alsoAs: ['text/csv'],
  result: z.object({ transactions: z.array(Transaction), nextCursor: z.string().nullable() }),
});

export const verifyLedger = operation({
  id: 'verifyLedger',
  method: 'GET',
  path: '/api/credits/ledger/verify',
  summary: 'Check balances, lots, holds and entries against each other; names the first offending row of each fault',
  permission: 'ledger:verify',
  // The id of one account, a user's or a workspace's; all of them when absent.
  query: z.strictObject({
    userId: z
      .string()
      .regex(/^([0-9a-f]{24,32}|ws_[0-9a-zA-Z-]{1,64})$/, 'must be the id of an account')
      .optional(),
  }),
  result: z.object({
    ok: z.boolean(),
    checkedAt: Timestamp,
    checks: z.array(
      z.object({
        invariant: z.string(),
        title: z.string(),
        ok: z.boolean(),
        offenders: z.int().min(0),
        first: z.record(z.string(), z.json()).nullable(),
      }),
    ),
  }),
});
