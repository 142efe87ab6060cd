import type { accounting } from '@tollgate/contracts';
import { QueryTypes } from 'sequelize';
import type { Scope } from '../../domain/scope.ts';
import type { Period, UsageFilter } from '../../ports.ts';
import type { Models } from '../models.ts';

/** The values of a statement; the text has only their numbers. */
export class Binds {
  readonly values: unknown[] = [];

  add(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

/** The column of each dimension: all that a report's text takes from what was asked. */
export const COLUMNS: Readonly<Record<accounting.UsageDimension, string>> = {
  user: 'user_id',
  workspace: 'workspace_id',
  chatflow: 'chatflow_id',
  model: 'model',
  service: 'service',
  day: 'day',
};

const FILTERS: Readonly<Record<Exclude<keyof UsageFilter, 'within'>, string>> = {
  userId: 'user_id',
  workspaceId: 'workspace_id',
  chatflowId: 'chatflow_id',
  model: 'model',
  service: 'service',
};

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 30;

/** A period with a beginning, and how far its days are summed already. */
export type Reach = Readonly<{ from: Date; until: Date | undefined; summedUntil: Date | undefined }>;

/**
 * What is summed stays as it is, so the reach may be read before the sums.
 * @param wholeDays an absent beginning is a midnight, not the same hour 30 days ago
 */
export async function reachOf({ sequelize }: Models, { from, until }: Period, wholeDays: boolean): Promise<Reach> {
  const [row] = await sequelize.query<{ now: Date; next_day: string | null }>(
    'SELECT ledger_now() AS now, next_day::text FROM usage_rollup',
    { type: QueryTypes.SELECT },
  );
  const begin = (row?.now.getTime() ?? 0) - DEFAULT_DAYS * DAY_MS;
  return {
    from: from ?? new Date(wholeDays ? begin - (begin % DAY_MS) : begin),
    until,
    summedUntil: row?.next_day ? new Date(row.next_day) : undefined,
  };
}

type WholeDays = Readonly<{ from: Date; until: Date }>;
type Span = Readonly<{ from: Date; until: Date | undefined }>;

/** The whole days of a period that are summed, and what is left of it at both ends. */
function splitPeriod({ from, until, summedUntil }: Reach): { summed?: WholeDays; rows: Span[] } {
  const first = Math.ceil(from.getTime() / DAY_MS) * DAY_MS;
  const end = Math.min(summedUntil?.getTime() ?? 0, until?.getTime() ?? Infinity);
  const last = Math.floor(end / DAY_MS) * DAY_MS;
  if (first >= last) return { rows: [{ from, until }] };
  const rest = [
    { from, until: new Date(first) },
    { from: new Date(last), until },
  ];
  return {
    summed: { from: new Date(first), until: new Date(last) },
    rows: rest.filter((span) => span.until === undefined || span.from < span.until),
  };
}

/** The usage of a period as a table of the given columns and sums: what is summed already, and the rows of the rest. */
export const countedUsage = (reach: Reach, columns: readonly string[], filter: UsageFilter, binds: Binds): string =>
  countedParts(reach, columns, filter, binds).join(' UNION ALL ');

/** The tables that {@link countedUsage} puts together. */
export function countedParts(reach: Reach, columns: readonly string[], filter: UsageFilter, binds: Binds): string[] {
  const { summed, rows } = splitPeriod(reach);
  const where = filterOf(filter, binds);
  const parts = rows.map((span) => rowsOf(span, columns, where, binds));
  if (summed) {
    const isOfUsers = columns.includes('user_id') || filter.userId !== undefined;
    parts.push(
      `SELECT ${columns.join(', ')}, records, credits, written_off_credits, input_units, output_units
       FROM ${isOfUsers ? 'usage_daily' : 'usage_daily_totals'}
       WHERE day >= ${binds.add(dayOf(summed.from))}::date AND day < ${binds.add(dayOf(summed.until))}::date${where}`,
    );
  }
  return parts;
}

function rowsOf({ from, until }: Span, columns: readonly string[], where: string, binds: Binds): string {
  const end = until === undefined ? '' : ` AND "timestamp" < ${binds.add(until)}::timestamptz`;
  const named = columns.map((column) => (column === 'day' ? `("timestamp" AT TIME ZONE 'UTC')::date AS day` : column));
  return `SELECT ${named.join(', ')}, 1::bigint AS records, credits::bigint, written_off_credits::bigint, input_units, output_units
    FROM ledger.counted_usage WHERE "timestamp" >= ${binds.add(from)}::timestamptz${end}${where}`;
}

const filterOf = (filter: UsageFilter, binds: Binds): string =>
  (Object.keys(FILTERS) as (keyof typeof FILTERS)[])
    .filter((name) => filter[name] !== undefined)
    .map((name) => ` AND ${FILTERS[name]} = ${binds.add(filter[name])}`)
    .concat(filter.within ? [` AND ${doneWithin(filter.within, binds)}`] : [])
    .join('');

/** What was done in one workspace; what names none was done in the default one. */
export const doneWithin = ({ workspaceId, isDefault }: Scope, binds: Binds): string =>
  isDefault
    ? `coalesce(workspace_id, '') IN ('', ${binds.add(workspaceId)})`
    : `workspace_id = ${binds.add(workspaceId)}`;

const dayOf = (date: Date): string => date.toISOString().slice(0, 10);
