import { z } from 'zod';
import { Format, line, Metadata } from './accounting-text.ts';
import { Credits, TargetBalance } from '../credits.ts';
import { Timestamp, UserId } from '../ids.ts';
import { operation, PageQuery } from '../operation.ts';

const Name = line(100);

export const recordUsage = operation({
  id: 'recordUsage',
  method: 'POST',
  path: '/api/usage/record',
  summary: 'Note usage of the user that has no hold; moves no credits',
  permission: 'usage:record',
  idempotencyKey: 'required',
  status: 201,
  body: z.strictObject({ service: Name, operation: Name, credits: TargetBalance, metadata: Metadata.default({}) }),
  result: z.object({ id: z.int(), service: z.string(), operation: z.string(), credits: Credits, timestamp: Timestamp }),
  errors: ['IDEMPOTENCY_IN_PROGRESS', 'IDEMPOTENCY_KEY_REUSED'],
  invalidDetail: 'Missing or invalid required fields',
});

/** An instant or a calendar day (UTC). */
const Moment = z.union([z.iso.date(), z.iso.datetime({ offset: true })]);
export const Period = z.strictObject({ startDate: Moment.optional(), endDate: Moment.optional() });

/** Credits are the net sum: a late correction of a charge counts with its sign. */
const Sums = z.record(z.string(), z.int());

/** One row of usage; a late correction of a charge is a row of its own, with its sign. */
const UsageRow = z.object({
  id: z.int(),
  userId: z.string(),
  service: z.string(),
  operation: z.string(),
  model: z.string().nullable(),
  chatflowId: z.string().nullable(),
  credits: z.int(),
  inputTokens: z.int().nullable(),
  outputTokens: z.int().nullable(),
  outcome: z.string().nullable(),
  reason: z.string().nullable(),
  /** The chat's request id. */
  holdId: z.string().nullable(),
  timestamp: Timestamp,
});

export const UsageStats = z.object({
  totalRecords: z.int(),
  totalCredits: z.int(),
  byService: Sums,
  byDay: Sums,
  byModel: Sums,
  recentActivity: z.array(UsageRow),
});
export type UsageStats = z.infer<typeof UsageStats>;

export const readOwnUsage = operation({
  id: 'readOwnUsage',
  method: 'GET',
  path: '/api/usage/stats',
  summary: 'Own usage in a period (last 30 days when absent)',
  permission: 'usage:read-own',
  query: Period,
  result: UsageStats,
});

export const readUsageOfUser = operation({
  id: 'readUsageOfUser',
  method: 'GET',
  path: '/api/usage/stats/:userId',
  summary: 'Usage of a user in a period',
  permission: 'usage:read-any',
  params: z.strictObject({ userId: UserId }),
  query: Period,
  result: UsageStats,
});

export const readSystemUsage = operation({
  id: 'readSystemUsage',
  method: 'GET',
  path: '/api/usage/system-stats',
  summary: 'Usage of everybody in a period; `byUser` names the 100 largest',
  permission: 'usage:read-all',
  query: Period,
  result: UsageStats.extend({ byUser: Sums }),
});

export const UsageRecord = UsageRow.extend({
  /** Which closed the hold, and can be explained; null: there was nothing to book. */
  transactionId: z.int().nullable(),
  workspaceId: z.string().nullable(),
  writtenOffCredits: Credits,
  isCorrection: z.boolean(),
});

const UsagePage = z.object({ records: z.array(UsageRecord), nextCursor: z.string().nullable() });
const RecordQuery = Period.extend(PageQuery.shape).extend({ format: Format });

export const listOwnUsage = operation({
  id: 'listOwnUsage',
  method: 'GET',
  path: '/api/usage/records',
  summary: 'Own usage row by row, newest first; as CSV all of it, up to 100,000 rows',
  permission: 'usage:read-own',
  query: RecordQuery,
  alsoAs: ['text/csv'],
  result: UsagePage,
});

export const listAllUsage = operation({
  id: 'listAllUsage',
  method: 'GET',
  path: '/api/usage/records/all',
  summary: 'Usage of everybody row by row, newest first; as CSV all of it, up to 100,000 rows',
  permission: 'usage:read-all',
  query: RecordQuery,
  alsoAs: ['text/csv'],
  result: UsagePage,
});

export const listUsageOfUser = operation({
  id: 'listUsageOfUser',
  method: 'GET',
  path: '/api/usage/records/:userId',
  summary: 'Usage of a user row by row, newest first; as CSV all of it, up to 100,000 rows',
  permission: 'usage:read-any',
  params: z.strictObject({ userId: UserId }),
  query: RecordQuery,
  alsoAs: ['text/csv'],
  result: UsagePage,
});
