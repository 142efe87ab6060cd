import { z } from 'zod';
import { line } from '../accounting-text.ts';
import { Credits } from '../../credits.ts';
import type { ErrorCode } from '../../error-codes.ts';
import { Timestamp, Uuid } from '../../ids.ts';
import { operation, PageQuery } from '../../operation.ts';

/** Why credits are not held: the balance, a budget, a rate, too many answers at once, or a block. */
export const REFUSALS = [
  'INSUFFICIENT_CREDITS',
  'BUDGET_EXCEEDED',
  'RATE_LIMITED',
  'PARALLEL_LIMIT',
  'ACCOUNT_DISABLED',
  'KEY_REVOKED',
  'WORKSPACE_DISABLED',
] as const satisfies readonly ErrorCode[];

/** Whose use counts together: everybody's, a workspace's, that of a user in a workspace, a user's, an API key's, a model's. */
export const LimitScope = z.enum(['tenant', 'workspace', 'member', 'user', 'key', 'model']);
export type LimitScope = z.infer<typeof LimitScope>;

/** Credits spent, requests made, tokens used (in and out), or answers under way at a time. */
export const LimitMeasure = z.enum(['credits', 'requests', 'tokens', 'parallel']);
export type LimitMeasure = z.infer<typeof LimitMeasure>;

/** By the tenant's calendar: a day, week (from Monday) or month begins at midnight of its time zone. */
export const LimitWindow = z.enum(['minute', 'day', 'week', 'month', 'never']);
export type LimitWindow = z.infer<typeof LimitWindow>;

export const Limit = z.object({
  id: Uuid,
  scope: LimitScope,
  /** null: each one of the scope by itself, unless it has a limit of its own. */
  subject: z.string().nullable(),
  measure: LimitMeasure,
  window: LimitWindow,
  amount: Credits,
  createdBy: z.string(),
  createdAt: Timestamp,
  updatedBy: z.string(),
  updatedAt: Timestamp,
});

const Most = z
  .number()
  .refine((value) => Number.isSafeInteger(value) && value >= 0, {
    error: 'must be a whole number of 0 or more',
    params: { code: 'INVALID_AMOUNT' },
  })
  .meta({ type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** `{workspace}:{user}`, or `{workspace}:*` for each member of one workspace. */
const MEMBER = /^[0-9a-zA-Z-]{1,64}:([0-9a-f]{24}|\*)$/;

export const createLimit = operation({
  id: 'createLimit',
  method: 'POST',
  path: '/api/limits',
  summary: 'Bound what somebody may use in a window; counts from now on',
  permission: 'limits:write',
  status: 201,
  body: z
    .strictObject({
      scope: LimitScope,
      /** A user's id, a workspace's, `{workspace}:{user}` or `{workspace}:*` of a member, a key's id, a model's name. */
      subject: line(200).optional(),
      measure: LimitMeasure,
      window: LimitWindow.default('never'),
      amount: Most,
    })
    .refine(({ scope, subject }) => scope !== 'tenant' || subject === undefined, {
      path: ['subject'],
      error: 'there is one tenant',
    })
    .refine(({ scope, subject }) => scope !== 'member' || subject === undefined || MEMBER.test(subject), {
      path: ['subject'],
      error: 'must be workspace:user or workspace:*',
    })
    .refine(({ measure, window }) => measure === 'credits' || (measure === 'parallel') === (window === 'never'), {
      path: ['window'],
      error: 'requests and tokens need a window, answers at a time have none',
    }),
  result: Limit,
  errors: ['CONFLICT'],
});

export const listLimits = operation({
  id: 'listLimits',
  method: 'GET',
  path: '/api/limits',
  summary: 'All limits, oldest first',
  permission: 'limits:write',
  query: PageQuery.extend({ scope: LimitScope.optional() }),
  result: z.object({ limits: z.array(Limit), nextCursor: z.string().nullable() }),
});

const params = z.strictObject({ limitId: Uuid });

export const changeLimit = operation({
  id: 'changeLimit',
  method: 'PATCH',
  path: '/api/limits/:limitId',
  summary: 'Change the amount of a limit; what was used stays used',
  permission: 'limits:write',
  params,
  body: z.strictObject({ amount: Most }),
  result: Limit,
  errors: ['NOT_FOUND'],
});

export const endLimit = operation({
  id: 'endLimit',
  method: 'DELETE',
  path: '/api/limits/:limitId',
  summary: 'End a limit',
  permission: 'limits:write',
  params,
  result: Limit,
  errors: ['NOT_FOUND'],
});

export const readOwnLimits = operation({
  id: 'readOwnLimits',
  method: 'GET',
  path: '/api/credits/limits',
  summary: 'What bounds the caller beside the balance, and what is left of it',
  permission: 'limits:read-own',
  query: z.strictObject({ modelId: line(200).optional() }),
  result: z.object({
    limits: z.array(
      z.object({
        scope: LimitScope,
        measure: LimitMeasure,
        window: LimitWindow,
        amount: Credits,
        /** Used in this window, and reserved by answers under way. */
        used: z.int(),
        reserved: Credits,
        remaining: Credits,
        resetsAt: Timestamp.nullable(),
      }),
    ),
  }),
});
