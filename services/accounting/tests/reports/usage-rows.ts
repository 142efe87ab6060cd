import type { accounting } from '@tollgate/contracts';
import type pg from 'pg';
import type { Accounting } from '../harness/accounting.ts';

/** A row of usage as a test writes it, beside the service. */
export type UsageRow = {
  user_id: string;
  workspace_id: string | null;
  chatflow_id: string | null;
  model: string | null;
  service: string;
  credits: number;
  written_off_credits: number;
  is_correction: boolean;
  input_tokens: number | null;
  output_tokens: number | null;
  /** With microseconds, in UTC. */
  timestamp: string;
};

export const usageRow = (row: Partial<UsageRow> & Pick<UsageRow, 'user_id' | 'timestamp'>): UsageRow => ({
  workspace_id: null,
  chatflow_id: null,
  model: null,
  service: 'chat-proxy',
  credits: 1,
  written_off_credits: 0,
  is_correction: false,
  input_tokens: null,
  output_tokens: null,
  ...row,
});

export async function insertUsage(db: pg.Pool | pg.PoolClient, rows: readonly UsageRow[]): Promise<void> {
  await db.query(
    `INSERT INTO usage_logs (user_id, payer_id, workspace_id, chatflow_id, model, service, operation, credits, written_off_credits,
                             is_correction, input_tokens, output_tokens, "timestamp")
     SELECT user_id, user_id, workspace_id, chatflow_id, model, service, 'chat', credits, written_off_credits, is_correction, input_tokens,
            output_tokens, "timestamp" FROM jsonb_populate_recordset(NULL::usage_logs, $1)`,
    [JSON.stringify(rows)],
  );
}

const PATIENCE_MS = 20_000;

/** Sums days until all or so many are. A transaction of any test on the same server may have to end first. */
export async function sumUp(
  { db, flows }: Pick<Accounting, 'db' | 'flows'>,
  days = Number.POSITIVE_INFINITY,
): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  for (let summed = 0; summed < days && performance.now() < end; ) {
    if (await flows.rollUpUsage()) {
      summed += 1;
      continue;
    }
    const { rows } = await db.query<{ done: boolean }>(
      'SELECT coalesce(next_day > ledger.last_complete_day(), NOT EXISTS (SELECT FROM usage_logs)) AS done FROM usage_rollup',
    );
    if (rows[0]?.done) return;
  }
}

const DAY_MS = 86_400_000;

/** The UTC day so many days ago. */
export const daysAgo = (days: number): string => new Date(Date.now() - days * DAY_MS).toISOString().slice(0, 10);

/** Usage of a few days with every kind of name, the borders of days and corrections. The same for the same users. */
export function someUsage(users: readonly string[], days: number, count: number): UsageRow[] {
  let seed = 12345;
  const pick = <T>(choices: readonly T[]): T => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return choices[Math.floor((seed / 2147483648) * choices.length)] as T; // never empty
  };
  const numbers = Array.from({ length: 50 }, (_, n) => n);
  return Array.from({ length: count }, () => {
    const isCorrection = pick([true, false, false, false]);
    return usageRow({
      user_id: pick(users),
      workspace_id: pick([null, 'ws-1', 'ws-2']),
      chatflow_id: pick([null, 'flow-1', 'flow-2', 'flow-3']),
      model: pick([null, 'model-a', 'Model-A', 'model-ä']),
      service: pick(['chat-proxy', 'accounting']),
      credits: isCorrection ? -pick(numbers) : pick(numbers),
      written_off_credits: pick([0, 0, 3]),
      is_correction: isCorrection,
      input_tokens: pick([null, 0, 7, 100]),
      output_tokens: pick([null, 0, 11]),
      timestamp: `${daysAgo(pick(Array.from({ length: days }, (_, n) => n + 1)))}T${pick(['00:00:00', '12:34:56.789012', '23:59:59.999999'])}Z`,
    });
  });
}

const VALUES: Record<accounting.UsageDimension, (row: UsageRow) => string | null> = {
  user: (row) => row.user_id,
  workspace: (row) => row.workspace_id,
  chatflow: (row) => row.chatflow_id,
  model: (row) => row.model,
  service: (row) => row.service,
  day: (row) => row.timestamp.slice(0, 10),
};
const FIELDS = {
  user: 'userId',
  workspace: 'workspaceId',
  chatflow: 'chatflowId',
  model: 'model',
  service: 'service',
  day: 'day',
} as const;

/** What a report must say, reckoned here from the rows. */
export function sumsOf(rows: readonly UsageRow[], dimensions: readonly accounting.UsageDimension[]) {
  const groups = Map.groupBy(rows, (row) => JSON.stringify(dimensions.map((name) => VALUES[name](row))));
  const sum = (of: readonly UsageRow[], value: (row: UsageRow) => number | null) =>
    of.reduce((total, row) => total + (value(row) ?? 0), 0);
  return [...groups.values()].map((of) => ({
    ...Object.fromEntries(dimensions.map((name) => [FIELDS[name], of[0] ? VALUES[name](of[0]) : null])),
    records: of.length,
    credits: sum(of, (row) => row.credits),
    writtenOffCredits: sum(of, (row) => row.written_off_credits),
    inputUnits: sum(of, (row) => row.input_tokens),
    outputUnits: sum(of, (row) => row.output_tokens),
  }));
}
