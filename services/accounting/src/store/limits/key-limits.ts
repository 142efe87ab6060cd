import type { KeyLimitRows, KeyLimitStore } from '../../ports.ts';
import type { Postgres, Query } from '../postgres.ts';

/** What auth has set for API keys. Limits that an administrator has set or changed are not auth's to touch. */
export const createKeyLimits = ({ transaction }: Pick<Postgres, 'transaction'>): KeyLimitStore => ({
  replace: ({ keyId, revision, limits }, actor) =>
    transaction(async (query) => {
      if (!(await isNewest(query, keyId, revision))) return 'outdated';
      if (await isTaken(query, keyId, limits, actor)) return 'taken';
      await endOthers(query, keyId, limits, actor);
      await setThese(query, keyId, limits, actor);
      return 'done';
    }),
});

/** Also locks the key's row, so that calls for one key take turns. */
async function isNewest(query: Query, keyId: string, revision: number): Promise<boolean> {
  const rows = await query(
    `INSERT INTO key_limits (key_id, revision) VALUES ($1, $2)
     ON CONFLICT (key_id) DO UPDATE SET revision = excluded.revision, updated_at = ledger_now()
     WHERE key_limits.revision <= excluded.revision RETURNING key_id`,
    [keyId, revision],
  );
  return rows.length === 1;
}

const OWN = `scope = 'key' AND subject = $1 AND ended_at IS NULL`;
const WANTED = `jsonb_to_recordset($2::jsonb) AS wanted (measure text, "window" text, amount bigint)`;
const SAME = `wanted.measure = limits.measure AND wanted."window" = limits."window"`;

async function isTaken(query: Query, keyId: string, limits: KeyLimitRows, actor: string): Promise<boolean> {
  const rows = await query(`SELECT 1 FROM limits JOIN ${WANTED} ON ${SAME} WHERE ${OWN} AND updated_by <> $3 LIMIT 1`, [
    keyId,
    JSON.stringify(limits),
    actor,
  ]);
  return rows.length > 0;
}

async function endOthers(query: Query, keyId: string, limits: KeyLimitRows, actor: string): Promise<void> {
  await query(
    `UPDATE limits SET ended_at = ledger_now(), updated_at = ledger_now()
     WHERE ${OWN} AND updated_by = $3 AND NOT EXISTS (SELECT FROM ${WANTED} WHERE ${SAME})`,
    [keyId, JSON.stringify(limits), actor],
  );
}

/** What was used of a limit that only changes its amount stays used. */
async function setThese(query: Query, keyId: string, limits: KeyLimitRows, actor: string): Promise<void> {
  await query(
    `INSERT INTO limits (scope, subject, measure, "window", amount, created_by, updated_by)
     SELECT 'key', $1, measure, "window", amount, $3, $3 FROM ${WANTED}
     ON CONFLICT (tenant_id, scope, coalesce(subject, ''), measure, "window") WHERE ended_at IS NULL
     DO UPDATE SET amount = excluded.amount, updated_at = ledger_now()`,
    [keyId, JSON.stringify(limits), actor],
  );
}
