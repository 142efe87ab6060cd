import { QueryTypes } from 'sequelize';
import type { Reports, UsageFilter } from '../../ports.ts';
import type { Models } from '../models.ts';
import { Binds, countedUsage, type Reach, reachOf } from './counted-usage.ts';
import { createUsageRecords } from './usage-records.ts';

type SumRow = {
  kind: number;
  service: string | null;
  day: string | null;
  label: string | null;
  records: string;
  credits: string;
};

const MOST_RECENT = 10;
const MOST_USERS = 100;

/** What each grouping set of the report answers: the bit mask of GROUPING(service, day, label). */
const KINDS = { total: 0b111, service: 0b011, day: 0b101, label: 0b110 } as const;

/** Usage of a period summed in several ways, and its newest rows. */
export const createUsageStats = (models: Models): Reports['usage'] => {
  const usageRecords = createUsageRecords(models);
  return async function usage(period, userId, within) {
    const reach = await reachOf(models, period, false);
    const [sums, users, records] = await Promise.all([
      sumUsage(models, reach, { userId, within }),
      userId === undefined ? largestUsers(models, reach) : undefined,
      usageRecords({ userId, within, period, limit: MOST_RECENT }),
    ]);
    const total = sums.find(({ kind }) => kind === KINDS.total);
    const byCredits = (kind: number, name: 'service' | 'day' | 'label') =>
      Object.fromEntries(
        sums.filter((row) => row.kind === kind).map((row) => [row[name] ?? 'none', Number(row.credits)]),
      );
    return {
      totalRecords: Number(total?.records ?? 0),
      totalCredits: Number(total?.credits ?? 0),
      byService: byCredits(KINDS.service, 'service'),
      byDay: byCredits(KINDS.day, 'day'),
      byModel: byCredits(KINDS.label, 'label'),
      byUser: users ?? {},
      recentActivity: records,
    };
  };
};

async function sumUsage({ sequelize }: Models, reach: Reach, filter: UsageFilter): Promise<SumRow[]> {
  const binds = new Binds();
  const usage = countedUsage(reach, ['service', 'day', 'model', 'chatflow_id'], filter, binds);
  return sequelize.query<SumRow>(
    `SELECT GROUPING(service, day, label) AS kind, service, day::text, label,
            ledger.total(records) AS records, ledger.total(credits) AS credits
     FROM (SELECT service, day, coalesce(nullif(model, ''), nullif(chatflow_id, '')) AS label, records, credits FROM (${usage}) u) l
     GROUP BY GROUPING SETS ((), (service), (day), (label)) ORDER BY kind, l.day, credits DESC, service, label`,
    { type: QueryTypes.SELECT, bind: binds.values },
  );
}

async function largestUsers({ sequelize }: Models, reach: Reach): Promise<Record<string, number>> {
  const binds = new Binds();
  const usage = countedUsage(reach, ['user_id'], {}, binds);
  const rows = await sequelize.query<{ user_id: string; credits: string }>(
    `SELECT user_id, ledger.total(credits) AS credits FROM (${usage}) u
     GROUP BY user_id ORDER BY credits DESC, user_id LIMIT ${MOST_USERS}`,
    { type: QueryTypes.SELECT, bind: binds.values },
  );
  return Object.fromEntries(rows.map((row) => [row.user_id, Number(row.credits)]));
}
