// Times what the accounting service reads for people on a database of scripts/fill-ledger.ts, and shows the plans:
// `DATABASE_URL=… node --conditions=tollgate scripts/measure-reports/main.ts [--runs 21] [--plans]`. Reads, and sums days that are over.
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { createAccounts } from '../../services/accounting/src/store/accounts.ts';
import { createChores } from '../../services/accounting/src/store/chores.ts';
import { openModels } from '../../services/accounting/src/store/models.ts';
import { openPostgres } from '../../services/accounting/src/store/postgres.ts';
import { createReports } from '../../services/accounting/src/store/reports.ts';
import { measureCases } from './cases.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '21' }, plans: { type: 'boolean', default: false } },
});
const runs = Math.min(Number(values.runs), 1000);
const url = process.env['DATABASE_URL'] ?? '';
const ACQUIRE_MS = 5000;
/** In a millisecond. */
const NANOSECONDS = 1_000_000;

const postgres = openPostgres({ url, poolSize: 2, acquireMs: ACQUIRE_MS, onFault: () => undefined });
/** What was asked last, for its plan. */
let asked: { sql: string; values: unknown[] }[] = [];
const models = openModels({ url, poolSize: 3, acquireMs: ACQUIRE_MS });
// Its types do not tell of its options.
Object(models.sequelize).options.logging = (sql: string, options: unknown) => {
  const { bind } = Object(options) as { bind?: unknown[] };
  asked.push({ sql: sql.replace(/^Executing \(\w+\): /, '').replace(/; ("|\[).*$/s, ''), values: bind ?? [] });
};

const chores = createChores(postgres);
for (let outcome = 'summed'; outcome !== 'done'; ) outcome = await chores.rollUpUsage();
const plans = new pg.Client({
  connectionString: url,
  options: '-c max_parallel_workers_per_gather=0 -c work_mem=32MB',
});
await plans.connect();
// As autovacuum does sooner or later.
await plans.query('VACUUM (ANALYZE) usage_daily, usage_daily_totals');

for (const { title, run } of await measureCases({
  reports: createReports(models),
  accounts: createAccounts(postgres.query),
  query: postgres.query,
})) {
  const times: number[] = [];
  const before = await serverCpu();
  for (let n = 0; n < runs; n += 1) {
    asked = [];
    const began = performance.now();
    await run();
    times.push(performance.now() - began);
  }
  const after = await serverCpu();
  const cpu = [...after].reduce((sum, [pid, ms]) => sum + ms - (before.get(pid) ?? 0), 0) / runs;
  const inOrder = times.toSorted((a, b) => a - b);
  const at = (part: number) => (inOrder[Math.floor(part * (runs - 1))] ?? 0).toFixed(1);
  process.stdout.write(
    `${title.padEnd(40)} p50 ${at(0.5).padStart(7)}  p99 ${at(0.99).padStart(7)}  cpu ${cpu.toFixed(1).padStart(6)} ms\n`,
  );
  if (values.plans) for (const statement of asked) await explain(statement);
}
await Promise.all([plans.end(), models.sequelize.close(), postgres.close()]);

/**
 * Milliseconds that each of the service's connections has had a core, where the server is a process of this Linux machine: on a
 * busy machine the steadier number.
 */
async function serverCpu(): Promise<Map<number, number>> {
  const { rows } = await plans.query<{ pid: number }>(
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'tollgate-accounting%'",
  );
  const spent = await Promise.all(
    rows.map(async ({ pid }) => {
      const text = await readFile(`/proc/${pid}/schedstat`, 'utf8').catch(() => '0');
      return [pid, Number(text.split(' ', 1)[0]) / NANOSECONDS] as const;
    }),
  );
  return new Map(spent);
}

async function explain({ sql, values: bind }: { sql: string; values: unknown[] }): Promise<void> {
  const { rows } = await plans.query<{ 'QUERY PLAN': string }>(`EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) ${sql}`, bind);
  process.stdout.write(`${sql}\n${rows.map((row) => `  ${row['QUERY PLAN']}`).join('\n')}\n`);
}
