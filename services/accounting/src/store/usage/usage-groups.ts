import { QueryTypes } from 'sequelize';
import type { UsageReports } from '../../ports.ts';
import type { Models } from '../models.ts';
import { Binds, COLUMNS, countedUsage, reachOf } from './counted-usage.ts';

type GroupRow = Record<string, string> &
  Record<'records' | 'credits' | 'written_off_credits' | 'input_units' | 'output_units', string>;

/** Usage summed by the database, a page of groups at a time in the order of their keys. */
export const createUsageGroups = (models: Models): UsageReports['usageGroups'] =>
  async function usageGroups({ dimensions, period, filter, limit, after }) {
    const reach = await reachOf(models, period, true);
    const columns = dimensions.map((dimension) => COLUMNS[dimension]);
    const binds = new Binds();
    const usage = countedUsage(reach, columns, filter, binds);
    const key = after && columns.map((column, n) => `${binds.add(after[n])}::${column === 'day' ? 'date' : 'text'}`);
    const order = columns.map((column) => `u.${column}`).join(', ');
    const rows = await models.sequelize.query<GroupRow>(
      `SELECT ${columns.map((column) => (column === 'day' ? 'day::text' : column)).join(', ')},
              ledger.total(records) AS records, ledger.total(credits) AS credits,
              ledger.total(written_off_credits) AS written_off_credits,
              ledger.total(input_units) AS input_units, ledger.total(output_units) AS output_units
       FROM (${usage}) u ${key ? `WHERE (${order}) > (${key.join(', ')})` : ''}
       GROUP BY ${order} ORDER BY ${order} LIMIT ${binds.add(limit)}`,
      { type: QueryTypes.SELECT, bind: binds.values },
    );
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
