import { Op, QueryTypes } from 'sequelize';
import type { Period, Reports } from '../ports.ts';
import type { Models } from './models.ts';

type SumRow = {
  kind: number;
  service: string | null;
  day: string | null;
  model: string | null;
  user_id: string | null;
  records: string;
  credits: string;
};
type RecentRow = {
  id: string;
  userId: string;
  service: string;
  operation: string;
  model: string | null;
  chatflowId: string | null;
  credits: string;
  inputTokens: string | null;
  outputTokens: string | null;
  outcome: string | null;
  reason: string | null;
  holdId: string | null;
  timestamp: Date;
};

const MOST_RECENT = 10;
const MOST_USERS = 100;

/** What each grouping set of the report answers: the bit mask of GROUPING(service, day, model, user_id). */
const KINDS = { total: 0b1111, service: 0b0111, day: 0b1011, model: 0b1101, user: 0b1110 } as const;

/** Usage summed by the database in one scan of the period. */
export const createUsageReport = (models: Models): Reports['usage'] =>
  async function usage(period, userId) {
    const [sums, recent] = await Promise.all([sumUsage(models, period, userId), recentUsage(models, period, userId)]);
    const total = sums.find(({ kind }) => kind === KINDS.total);
    const byCredits = (kind: number, name: 'service' | 'day' | 'model' | 'user_id') =>
      Object.fromEntries(
        sums.filter((row) => row.kind === kind).map((row) => [row[name] ?? 'none', Number(row.credits)]),
      );
    return {
      totalRecords: Number(total?.records ?? 0),
      totalCredits: Number(total?.credits ?? 0),
      byService: byCredits(KINDS.service, 'service'),
      byDay: byCredits(KINDS.day, 'day'),
      byModel: byCredits(KINDS.model, 'model'),
      byUser: byCredits(KINDS.user, 'user_id'),
      recentActivity: recent,
    };
  };

async function sumUsage({ sequelize }: Models, { from, until }: Period, userId?: string): Promise<SumRow[]> {
  return sequelize.query<SumRow>(
    `SELECT * FROM (
       SELECT GROUPING(service, day, model, user_id) AS kind, service, day, model, user_id,
              count(*) AS records, coalesce(sum(credits), 0) AS credits,
              row_number() OVER (PARTITION BY GROUPING(service, day, model, user_id) ORDER BY sum(credits) DESC) AS place
       FROM (
         SELECT service, to_char("timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, coalesce(model, chatflow_id) AS model, user_id, credits
         FROM usage_logs
         WHERE ($1::text IS NULL OR user_id = $1)
           AND "timestamp" >= coalesce($2::timestamptz, (SELECT ledger_now()) - interval '30 days')
           AND ($3::timestamptz IS NULL OR "timestamp" < $3)
       ) u GROUP BY GROUPING SETS ((), (service), (day), (model), (user_id))
     ) s WHERE kind <> ${KINDS.user} OR place <= ${MOST_USERS} ORDER BY kind, day, credits DESC`,
    { type: QueryTypes.SELECT, bind: [userId ?? null, from ?? null, until ?? null] },
  );
}

async function recentUsage({ UsageLog }: Models, { from, until }: Period, userId?: string) {
  const rows = await UsageLog.findAll({
    where: {
      ...(userId !== undefined && { userId }),
      ...((from || until) && { timestamp: { ...(from && { [Op.gte]: from }), ...(until && { [Op.lt]: until }) } }),
    },
    // Each order is that of an index.
    order:
      userId === undefined
        ? [['id', 'DESC']]
        : [
            ['timestamp', 'DESC'],
            ['id', 'DESC'],
          ],
    limit: MOST_RECENT,
  });
  return rows.map((row) => recentOf(row.get({ plain: true }) as RecentRow)); // the columns of the model
}

const recentOf = (row: RecentRow) => ({
  id: Number(row.id),
  userId: row.userId,
  service: row.service,
  operation: row.operation,
  model: row.model,
  chatflowId: row.chatflowId,
  credits: Number(row.credits),
  inputTokens: row.inputTokens === null ? null : Number(row.inputTokens),
  outputTokens: row.outputTokens === null ? null : Number(row.outputTokens),
  outcome: row.outcome,
  reason: row.reason,
  holdId: row.holdId,
  timestamp: row.timestamp.toISOString(),
});
