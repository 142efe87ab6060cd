import { accounting, type ServerInput, type ServerResult, type UserId } from '@tollgate/contracts';
import { AppError, type RequestContext, type Route, serve } from '@tollgate/http-kit';
import { z } from 'zod';
import type { Viewer } from '../flows/report-usage.ts';
import type { Flows } from '../flows.ts';
import type { GroupKey, RecordPosition, UsageRecordRow } from '../ports.ts';
import { type Listing, listed } from './csv.ts';
import { periodOf } from './period.ts';

type ReportQuery = ServerInput<typeof accounting.reportUsage>['query'];

const FIELDS = {
  user: 'userId',
  workspace: 'workspaceId',
  chatflow: 'chatflowId',
  model: 'model',
  service: 'service',
  day: 'day',
} as const satisfies Record<accounting.UsageDimension, keyof accounting.UsageGroup>;
const SUMS = ['records', 'credits', 'writtenOffCredits', 'inputUnits', 'outputUnits'] as const;

/** Every page of groups sums the whole period again, every page of rows only reads on. */
const GROUP_ROWS = 10_000;
const RECORD_ROWS = 2000;

type GroupRow = ServerResult<typeof accounting.reportUsage>['rows'][number];
type GroupPage = {
  query: ReportQuery;
  from: Date;
  until: Date | undefined;
  rows: GroupRow[];
  nextCursor: string | null;
};

function groupListing(
  flows: Flows,
  query: ReportQuery & { userId?: UserId | undefined },
  caller: Viewer,
  context: RequestContext,
): Listing<GroupPage> {
  const { groupBy, userId, workspaceId, chatflowId, model, service } = query;
  const filter = { userId, workspaceId, chatflowId, model, service };
  let period = periodOf(query);
  async function read(limit: number, cursor: string | undefined): Promise<GroupPage> {
    const after = cursor === undefined ? undefined : keyOf(cursor, groupBy);
    const page = await flows.reportUsage(caller, { dimensions: groupBy, period, filter, limit, after });
    // The pages of one file share one period, also across a midnight.
    period = page.period;
    const last = page.groups.length < limit ? undefined : page.groups.at(-1);
    return {
      query,
      from: page.period.from,
      until: page.period.until,
      rows: page.groups.map(({ key, ...sums }) => ({ ...namesOf(groupBy, key), ...sums })),
      nextCursor: last ? cursorOf(groupBy, last.key) : null,
    };
  }
  const columns = [...groupBy.map((dimension) => FIELDS[dimension]), ...SUMS];
  const exported = flows.tellExport;
  return { query, context, file: 'usage-report.csv', columns, pageRows: GROUP_ROWS, read, exported };
}

const namesOf = (groupBy: ReportQuery['groupBy'], key: GroupKey): Partial<GroupRow> =>
  Object.fromEntries(groupBy.map((dimension, n) => [FIELDS[dimension], key[n] || null]));

const reportBody = ({ query: { groupBy }, from, until, rows, nextCursor }: GroupPage) => ({
  groupBy,
  period: { from: from.toISOString(), until: until?.toISOString() ?? null },
  rows,
  nextCursor,
});

/** A position carries only the place in the order; whose usage is seen comes from the caller each time. */
const cursorOf = (groupBy: ReportQuery['groupBy'], key: GroupKey): string =>
  Buffer.from(JSON.stringify([groupBy.join(), ...key])).toString('base64url');

const MOST_KEY = 1000;
const KeyPart = z
  .string()
  .max(MOST_KEY)
  .refine((text) => text.isWellFormed() && !text.includes('\0'));
/** Not of year 0, which the calendar of the database does not have. */
const KeyDay = z.iso.date().refine((day) => day >= '0001');

function keyOf(cursor: string, groupBy: ReportQuery['groupBy']): GroupKey {
  const parts = groupBy.map((dimension) => (dimension === 'day' ? KeyDay : KeyPart));
  const position = z.tuple([z.literal(groupBy.join()), ...parts]).safeParse(jsonOf(cursor));
  if (!position.success) throw new AppError('VALIDATION_FAILED', 'The cursor is not one of ours');
  return position.data.slice(1);
}

function jsonOf(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    return undefined;
  }
}

type RecordPage = { rows: UsageRecordRow[]; nextCursor: string | null };

const RECORD_COLUMNS = [
  'id',
  'timestamp',
  'userId',
  'workspaceId',
  'service',
  'operation',
  'model',
  'chatflowId',
  'credits',
  'writtenOffCredits',
  'isCorrection',
  'inputTokens',
  'outputTokens',
  'outcome',
  'reason',
  'holdId',
  'transactionId',
] as const;

function recordListing(
  flows: Flows,
  query: RecordsQuery,
  [caller, userId]: [Viewer, UserId?],
  context: RequestContext,
): Listing<RecordPage> {
  const period = periodOf(query);
  async function read(limit: number, cursor: string | undefined): Promise<RecordPage> {
    const rows = await flows.listUsage(caller, { userId, period, limit, after: positionOf(cursor) });
    const last = rows.length < limit ? undefined : rows.at(-1);
    return { rows, nextCursor: last ? `${last.micros}.${last.id}` : null };
  }
  const exported = flows.tellExport;
  return { query, context, file: 'usage.csv', columns: RECORD_COLUMNS, pageRows: RECORD_ROWS, read, exported };
}

const recordsBody = ({ rows, nextCursor }: RecordPage) => ({ records: rows, nextCursor });

function positionOf(cursor: string | undefined): RecordPosition | undefined {
  if (cursor === undefined) return undefined;
  const [, micros, id] = /^(\d{1,16})\.(\d{1,15})$/.exec(cursor) ?? [];
  if (micros === undefined) throw new AppError('VALIDATION_FAILED', 'The cursor is not one of ours');
  return { micros: Number(micros), id: Number(id) };
}
type RecordsQuery = ServerInput<typeof accounting.listOwnUsage>['query'];

export const reportRoutes = (flows: Flows): Route[] => [
  // Before those with :userId, which would refuse "own" and "all".
  serve(accounting.reportOwnUsage).with(({ query }, { userId }, context) =>
    listed(groupListing(flows, { ...query, userId }, 'owner', context), reportBody),
  ),
  serve(accounting.reportUsage).with(({ query }, caller, context) =>
    listed(groupListing(flows, query, caller, context), reportBody),
  ),
  serve(accounting.listOwnUsage).with(({ query }, { userId }, context) =>
    listed(recordListing(flows, query, ['owner', userId], context), recordsBody),
  ),
  serve(accounting.listAllUsage).with(({ query }, caller, context) =>
    listed(recordListing(flows, query, [caller], context), recordsBody),
  ),
  serve(accounting.listUsageOfUser).with(({ query, params: { userId } }, caller, context) =>
    listed(recordListing(flows, query, [caller, userId], context), recordsBody),
  ),
];
