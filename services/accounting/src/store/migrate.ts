import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { Connection } from './connection.ts';
import { type Query, sqlState, troubleOf } from './postgres.ts';

/** One step of the schema's history; never changed once released. */
export type Migration = Readonly<{ name: string; hash: string; sql: string }>;

/** The history of the tables, and what is made anew whenever it has changed. */
export type Schema = Readonly<{ steps: readonly Migration[]; functions: Migration }>;

/** At the same distance from `src/store` and from `dist/store`. */
const STEPS = new URL('../../src/store/migrations/', import.meta.url);
/** The schema `ledger`: functions, types and views that are made anew whenever one of them has changed. */
const FUNCTIONS = new URL('../../src/store/functions/', import.meta.url);
/** Their line of the history. */
const FUNCTIONS_NAME = 'functions';
/** Any number that nothing else on the database locks. */
const LOCK = 7_085_101_101;

/**
 * Brings the database to the newest schema, one process at a time, and gives the names of the steps taken.
 * The role that the service connects as gets what functions/98-privileges.sql says.
 * @throws Error when a step that was taken has other contents now, or is not known to this version.
 */
export async function runMigrations(url: string, schema?: Schema, serviceRole?: string): Promise<string[]> {
  const open = () => new Connection({ connectionString: url, application_name: 'tollgate-migrate' });
  const [client, turn] = [open(), open()];
  try {
    await Promise.all([client.connect(), turn.connect()]);
    // A lock of a transaction, on a connection of its own: behind a pooler one of a session would be somebody else's.
    await turn.query('BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0');
    await turn.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
    await client.query(HISTORY);
    const { steps, functions } = schema ?? (await readSchema());
    const taken = await applyMissing(client, steps);
    const isRenewed = await renewFunctions(client, functions, serviceRole);
    // Also when nothing was taken: the role may be a new one.
    if (!isRenewed) await grantTo(client, serviceRole);
    return isRenewed ? [...taken, FUNCTIONS_NAME] : taken;
  } finally {
    await Promise.all([client.end(), turn.end()]);
  }
}

/** Whether every step of this version was taken as it is. */
export async function hasNewestSchema(query: Query): Promise<boolean> {
  const taken = await query<Taken>('SELECT name, hash FROM schema_migrations');
  const hashes = new Map(taken.map(({ name, hash }) => [name, hash]));
  const { steps, functions } = await readSchema();
  return [...steps, functions].every(({ name, hash }) => hashes.get(name) === hash);
}

type Taken = { name: string; hash: string };

const HISTORY = `CREATE TABLE IF NOT EXISTS schema_migrations (
  name text PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`;

async function applyMissing(client: pg.Client, steps: readonly Migration[]): Promise<string[]> {
  const { rows: taken } = await client.query<Taken>('SELECT name, hash FROM schema_migrations');
  for (const { name, hash } of taken) {
    if (name === FUNCTIONS_NAME) continue;
    const step = steps.find((candidate) => candidate.name === name);
    if (!step) throw new Error(`the database is newer than this version: it has ${name}`);
    if (step.hash !== hash) throw new Error(`the migration ${name} was changed after it was taken`);
  }
  if (steps.every(({ name }) => taken.some((line) => line.name === name))) return [];
  // Loaded by those who have steps to take: it brings as many modules as half of the service.
  const { MigrationError, Umzug } = await import('umzug');
  const umzug = new Umzug({
    migrations: steps.map((step) => ({ name: step.name, up: () => takeStep(client, step) })),
    // A step writes its own line of history, in its own transaction.
    storage: {
      executed: async () => taken.map(({ name }) => name),
      logMigration: async () => {},
      unlogMigration: async () => {},
    },
    logger: undefined,
  });
  try {
    return (await umzug.up()).map(({ name }) => name);
  } catch (error) {
    // The name of the step says nothing of a database that went away in the middle of it.
    throw error instanceof MigrationError && troubleOf(error.cause) ? error.cause : error;
  }
}

const takeStep = (client: pg.Client, { name, hash, sql }: Migration): Promise<void> =>
  inTransaction(client, async () => {
    await client.query(sql);
    await client.query('INSERT INTO schema_migrations (name, hash) VALUES ($1, $2)', [name, hash]);
  });

const grantTo = async (client: pg.Client, serviceRole: string | undefined): Promise<void> => {
  if (serviceRole !== undefined) await client.query('SELECT ledger.grant_service($1)', [serviceRole]);
};

/** Nothing outside of the schema may depend on it: tables keep what they need in their own migration. */
async function renewFunctions(
  client: pg.Client,
  { name, hash, sql }: Migration,
  serviceRole: string | undefined,
): Promise<boolean> {
  const { rows } = await client.query<Taken>('SELECT name, hash FROM schema_migrations WHERE name = $1', [name]);
  if (rows[0]?.hash === hash) return false;
  await betweenReports(() =>
    inTransaction(client, async () => {
      // Whoever waits for a long report to end keeps everybody waiting who calls a function meanwhile.
      await client.query(`SET LOCAL lock_timeout = ${LONGEST_WAIT_MS}`);
      await client.query(
        'DROP SCHEMA IF EXISTS ledger CASCADE; CREATE SCHEMA ledger; SET LOCAL search_path = ledger, public',
      );
      await client.query(sql);
      await client.query(
        `INSERT INTO public.schema_migrations (name, hash) VALUES ($1, $2)
       ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, applied_at = now()`,
        [name, hash],
      );
      // Together: the version before goes on meanwhile, and must never meet functions that it may not call.
      await grantTo(client, serviceRole);
    }),
  );
  return true;
}

/** Less than the service waits for a lock. */
const LONGEST_WAIT_MS = 700;
const PAUSE_MS = 1000;
const MOST_TRIES = 200;
const LOCK_NOT_AVAILABLE = '55P03';

/** Until nobody reads what is to be replaced. */
async function betweenReports(work: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (sqlState(error) !== LOCK_NOT_AVAILABLE || tries === MOST_TRIES) throw error;
      await pause(PAUSE_MS);
    }
  }
}

async function inTransaction(client: pg.Client, work: () => Promise<void>): Promise<void> {
  try {
    await client.query('BEGIN');
    await work();
    await client.query('COMMIT');
  } catch (error) {
    // A connection that broke has nothing to roll back, and what it would say hides why.
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

const hashOf = (sql: string) => createHash('sha256').update(sql).digest('hex');

/** What this version brings along. */
export async function readSchema(): Promise<Schema> {
  const [steps, functions] = await Promise.all([readScripts(STEPS), readScripts(FUNCTIONS)]);
  const sql = functions.map((script) => script.sql).join('\n');
  return {
    steps: steps.map((step) => ({ ...step, hash: hashOf(step.sql) })),
    functions: { name: FUNCTIONS_NAME, sql, hash: hashOf(sql) },
  };
}

async function readScripts(folder: URL): Promise<{ name: string; sql: string }[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(names.map(async (name) => ({ name, sql: await readFile(new URL(name, folder), 'utf8') })));
}
