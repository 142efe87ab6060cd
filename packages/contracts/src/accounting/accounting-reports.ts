import { z } from 'zod';
import { Format, stored } from './accounting-text.ts';
import { Period } from './accounting-usage.ts';
import { Credits } from '../credits.ts';
import { Timestamp, UserId } from '../ids.ts';
import { operation } from '../operation.ts';

/** What usage is grouped by: who asked, the workspace of the token, the chatflow, the model, the service, the UTC day. */
export const USAGE_DIMENSIONS = ['user', 'workspace', 'chatflow', 'model', 'service', 'day'] as const;
export type UsageDimension = (typeof USAGE_DIMENSIONS)[number];

const MOST_DIMENSIONS = 3;

/** `user,day`: up to three of them, each once; the rows come in their order. */
const GroupBy = z
  .string()
  .max(60)
  .transform((list) => list.split(','))
  .pipe(
    z
      .array(z.enum(USAGE_DIMENSIONS))
      .max(MOST_DIMENSIONS)
      .refine((names) => new Set(names).size === names.length, 'names something twice'),
  )
  .meta({ type: 'string', description: `Up to ${MOST_DIMENSIONS} of ${USAGE_DIMENSIONS.join(', ')}, with commas` });

const Name = stored(1000).min(1);
const MOST_CURSOR = 8000;

const ReportQuery = Period.extend({
  groupBy: GroupBy.default(['day']),
  workspaceId: Name.optional(),
  chatflowId: Name.optional(),
  model: Name.optional(),
  service: Name.optional(),
  /** Rows of a page; a CSV has all rows. */
  limit: z.coerce.number().int().min(1).max(100).default(50),
  cursor: z.string().max(MOST_CURSOR).optional(),
  format: Format,
});

/** Each row has those of the first six that it was grouped by; null: none. */
export const UsageGroup = z.object({
  userId: z.string().optional(),
  workspaceId: z.string().nullable().optional(),
  chatflowId: z.string().nullable().optional(),
  model: z.string().nullable().optional(),
  service: z.string().optional(),
  day: z.iso.date().optional(),
  records: z.int(),
  /** The net sum: a late correction of a charge counts with its sign. */
  credits: z.int(),
  writtenOffCredits: Credits,
  inputUnits: z.int(),
  outputUnits: z.int(),
});
export type UsageGroup = z.infer<typeof UsageGroup>;

const Report = z.object({
  groupBy: z.array(z.enum(USAGE_DIMENSIONS)),
  period: z.object({ from: Timestamp, until: Timestamp.nullable() }),
  rows: z.array(UsageGroup),
  nextCursor: z.string().nullable(),
});

export const reportOwnUsage = operation({
  id: 'reportOwnUsage',
  method: 'GET',
  path: '/api/usage/report/own',
  summary: 'Own usage in a period (last 30 days when absent), summed by what `groupBy` names',
  permission: 'usage:read-own',
  query: ReportQuery,
  alsoAs: ['text/csv'],
  result: Report,
});

export const reportUsage = operation({
  id: 'reportUsage',
  method: 'GET',
  path: '/api/usage/report',
  summary:
    'Usage in a period, summed by what `groupBy` names; supervisors name one user, administrators may see everybody',
  permission: 'usage:read-any',
  query: ReportQuery.extend({ userId: UserId.optional() }),
  alsoAs: ['text/csv'],
  result: Report,
});
