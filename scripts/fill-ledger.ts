// Fills the accounting database of a development machine with a large, sound ledger, to measure on:
// `DATABASE_URL=… node --conditions=tollgate scripts/fill-ledger.ts [--rows 1000000] [--accounts 100000] [--days 90]`.
// Everything is made by a few statements over sets. Triggers are off meanwhile, so let `verify` look at the result.
import { parseArgs } from 'node:util';
import pg from 'pg';
import { runMigrations } from '../services/accounting/src/store/migrate.ts';
import { FILL_STEPS, type Fill } from './fill-ledger/steps.ts';

const MOST_ROWS = 20_000_000;
const MOST_ACCOUNTS = 2_000_000;
const MOST_DAYS = 3650;
const LOCAL_HOSTS = new Set(['localhost', '127.0.0.1', '[::1]', '']);

/** @throws Error for anything that could be more than a development database. */
export function developmentUrl(env: Readonly<Record<string, string | undefined>>): string {
  const url = env['DATABASE_URL'] ?? '';
  if (env['NODE_ENV'] === 'production') throw new Error('a production ledger is never filled');
  if (!URL.canParse(url) || !LOCAL_HOSTS.has(new URL(url).hostname))
    throw new Error('DATABASE_URL must name a database on this machine');
  return url;
}

const whole = (name: string, text: string, least: number, most: number): number => {
  const number = Number(text);
  if (!Number.isInteger(number) || number < least || number > most)
    throw new Error(`--${name} must be a whole number from ${least} to ${most}`);
  return number;
};

function readFill(args: string[]): Fill {
  const { values } = parseArgs({
    args,
    options: {
      rows: { type: 'string', default: '1000000' },
      accounts: { type: 'string', default: '100000' },
      days: { type: 'string', default: '90' },
    },
  });
  const accounts = whole('accounts', values.accounts, 1, MOST_ACCOUNTS);
  return {
    accounts,
    rows: whole('rows', values.rows, 3 * accounts, MOST_ROWS),
    days: whole('days', values.days, 1, MOST_DAYS),
  };
}

/** Makes the accounts, lots, holds, ledger and usage. @throws Error when the ledger is not empty. */
export async function fillLedger(url: string, fill: Fill, said: (text: string) => void): Promise<void> {
  await runMigrations(url);
  const client = new pg.Client({ connectionString: url, application_name: 'tollgate-fill' });
  await client.connect();
  try {
    const { rows } = await client.query('SELECT 1 FROM user_accounts LIMIT 1');
    if (rows.length > 0) throw new Error('the ledger has accounts already; take an empty database');
    await client.query(
      "SET session_replication_role = 'replica'; SET work_mem = '256MB'; SET search_path = ledger, public",
    );
    for (const { title, sql } of FILL_STEPS) {
      const began = performance.now();
      await client.query(sql(fill));
      said(`${title}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
    }
  } finally {
    await client.end();
  }
}

if (import.meta.main) {
  const began = performance.now();
  await fillLedger(developmentUrl(process.env), readFill(process.argv.slice(2)), (text) =>
    process.stdout.write(`${text}\n`),
  );
  process.stdout.write(`all in ${((performance.now() - began) / 1000).toFixed(0)} s\n`);
}
