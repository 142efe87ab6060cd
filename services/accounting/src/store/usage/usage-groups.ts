import { QueryTypes } from 'sequelize';
import type { GroupQuery, UsageReports } from '../../ports.ts';
import type { Models } from '../models.ts';
import { Binds, COLUMNS, countedParts, countedUsage, type Reach, reachOf } from './counted-usage.ts';

type GroupRow = Record<string, string> &
  Record<'records' | 'credits' | 'written_off_credits' | 'input_units' | 'output_units', string>;

/** Usage summed by the database, a page of groups at a time in the order of their keys. */
export const createUsageGroups = (models: Models): UsageReports['usageGroups'] =>
  async function usageGroups(query) {
    const reach = await reachOf(models, query.period, true);
    const columns = query.dimensions.map((dimension) => COLUMNS[dimension]);
    const rows = await sumGroups(models, reach, columns, query);
    return {
      period: { from: reach.from, until: reach.until },
      groups: rows.map((row) => ({
        key: columns.map((column) => row[column] ?? ''),
        records: Number(row.records),
        credits: Number(row.credits),
        writtenOffCredits: Number(row.written_off_credits),
        inputUnits: Number(row.input_units),
        outputUnits: Number(row.output_units),
      })),
    };
  };

async function sumGroups(models: Models, reach: Reach, columns: readonly string[], query: GroupQuery) {
  const { filter, limit, after } = query;
  const lastUser = columns[0] === 'user_id' ? await lastUserOfPage(models, reach, query) : undefined;
  const binds = new Binds();
  const usage = countedUsage(reach, columns, filter, binds);
  const order = columns.map((column) => `u.${column}`).join(', ');
  const key = after && columns.map((column, n) => `${binds.add(after[n])}::${column === 'day' ? 'date' : 'text'}`);
  const conditions = [
    key && `(${order}) > (${key.join(', ')})`,
    lastUser !== undefined && `u.user_id <= ${binds.add(lastUser)}`,
  ].filter((condition) => typeof condition === 'string');
  return models.sequelize.query<GroupRow>(
    `SELECT ${columns.map((column) => (column === 'day' ? 'day::text' : column)).join(', ')},
            ledger.total(records) AS records, ledger.total(credits) AS credits,
            ledger.total(written_off_credits) AS written_off_credits,
            ledger.total(input_units) AS input_units, ledger.total(output_units) AS output_units
     FROM (${usage}) u ${conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''}
     GROUP BY ${order} ORDER BY ${order} LIMIT ${binds.add(limit)}`,
    { type: QueryTypes.SELECT, bind: binds.values },
  );
}

/**
 * The last user that a page beginning with the users of `after` can reach; undefined when it may reach them all. Told this, the
 * database reads a page of users and not everybody: it cannot guess how many there are in several tables at once.
 */
async function lastUserOfPage({ sequelize }: Models, reach: Reach, query: GroupQuery): Promise<string | undefined> {
  const { filter, limit, after } = query;
  if (filter.userId !== undefined) return undefined;
  const binds = new Binds();
  const parts = countedParts(reach, ['user_id'], filter, binds);
  const first = after?.[0] === undefined ? '' : `WHERE user_id >= ${binds.add(after[0])}`;
  // One more than a page, for the user that the page before ended with.
  const most = binds.add(limit + 1);
  const users = parts.map(
    (part) => `(SELECT DISTINCT user_id FROM (${part}) p ${first} ORDER BY user_id LIMIT ${most})`,
  );
  const [last] = await sequelize.query<{ user_id: string }>(
    `SELECT user_id FROM (${users.join(' UNION ')}) u ORDER BY user_id LIMIT 1 OFFSET ${binds.add(limit)}`,
    { type: QueryTypes.SELECT, bind: binds.values },
  );
  return last?.user_id;
}
