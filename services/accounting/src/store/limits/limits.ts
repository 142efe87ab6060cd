import type { accounting } from '@tollgate/contracts';
import type { LimitBody, Limits } from '../../ports.ts';
import { type Query, sqlState } from '../postgres.ts';

type Row = {
  number: number;
  id: string;
  scope: accounting.LimitScope;
  subject: string | null;
  measure: accounting.LimitMeasure;
  window: accounting.LimitWindow;
  amount: number;
  created_by: string;
  created_at: Date;
  updated_by: string;
  updated_at: Date;
};

const limitOf = (row: Row): LimitBody => ({
  id: row.id,
  scope: row.scope,
  subject: row.subject,
  measure: row.measure,
  window: row.window,
  amount: row.amount,
  createdBy: row.created_by,
  createdAt: row.created_at.toISOString(),
  updatedBy: row.updated_by,
  updatedAt: row.updated_at.toISOString(),
});

const COLUMNS = `number, id, scope, subject, measure, "window", amount::bigint AS amount,
  created_by, created_at, updated_by, updated_at`;
const UNIQUE_VIOLATION = '23505';

export function createLimits(query: Query): Limits {
  const change = async (set: string, values: readonly unknown[]) => {
    const [row] = await query<Row>(
      `UPDATE limits SET ${set}, updated_by = $2, updated_at = ledger_now() WHERE id = $1 AND ended_at IS NULL
       RETURNING ${COLUMNS}`,
      values,
    );
    return row && limitOf(row);
  };
  return {
    async add({ scope, subject, measure, window, amount }, actor) {
      try {
        const [row] = await query<Row>(
          `INSERT INTO limits (scope, subject, measure, "window", amount, created_by, updated_by)
           VALUES ($1, $2, $3, $4, $5, $6, $6) RETURNING ${COLUMNS}`,
          [scope, subject ?? null, measure, window, amount, actor],
        );
        if (!row) throw new Error('the limit was not stored');
        return limitOf(row);
      } catch (error) {
        if (sqlState(error) !== UNIQUE_VIOLATION) throw error;
        return 'taken';
      }
    },
    async list({ limit, after, scope }) {
      const rows = await query<Row>(
        `SELECT ${COLUMNS} FROM limits
         WHERE ended_at IS NULL AND number > $2 AND ($3::text IS NULL OR scope = $3) ORDER BY number LIMIT $1`,
        [limit, after ?? 0, scope ?? null],
      );
      return { limits: rows.map(limitOf), next: rows.length < limit ? undefined : rows.at(-1)?.number };
    },
    change: (id, amount, actor) => change('amount = $3', [id, actor, amount]),
    end: (id, actor) => change('ended_at = ledger_now()', [id, actor]),
    applying: ({ userId, workspaceId, model, apiKeyId }) =>
      applyingLimits(query, [userId, workspaceId, model, apiKeyId]),
  };
}

type ApplyingRow = Pick<Row, 'scope' | 'measure' | 'window' | 'amount'> & {
  used: number;
  reserved: number;
  resets_at: Date | null;
};

async function applyingLimits(query: Query, values: readonly unknown[]): ReturnType<Limits['applying']> {
  const rows = await query<ApplyingRow>(
    `SELECT k.scope, k.measure, k."window", k.most AS amount, coalesce(c.used, 0) AS used,
            coalesce(c.reserved, 0)::bigint AS reserved, ledger.window_end(k."window", k.window_start, t.time_zone) AS resets_at
     FROM tenants t CROSS JOIN LATERAL ledger.limits_of(t.id, $1, $2, $4, $3, ledger_now()) k
     LEFT JOIN limit_counters c USING (limit_id, subject, window_start)
     WHERE t.id = 'default' ORDER BY k.scope, k.measure, k."window"`,
    values,
  );
  return rows.map(({ resets_at: resetsAt, amount, used, reserved, ...names }) => ({
    ...names,
    amount,
    used,
    reserved,
    remaining: Math.max(0, amount - used - reserved),
    resetsAt: resetsAt?.toISOString() ?? null,
  }));
}
