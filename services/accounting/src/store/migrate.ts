import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import { Umzug } from 'umzug';
import type { Query } from './postgres.ts';

/** One step of the schema's history; never changed once released. */
export type Migration = Readonly<{ name: string; hash: string; sql: string }>;

/** At the same distance from `src/store` and from `dist/store`. */
const FOLDER = new URL('../../src/store/migrations/', import.meta.url);
/** Any number that nothing else on the database locks. */
const LOCK = 7_085_101_101;

/**
 * Brings the database to the newest schema, one process at a time, and gives the names of the steps taken.
 * @throws Error when a step that was taken has other contents now, or is not known to this version.
 */
export async function runMigrations(url: string, steps?: readonly Migration[]): Promise<string[]> {
  const client = new pg.Client({ connectionString: url, application_name: 'tollgate-migrate' });
  // A connection that breaks is told by the statement that needs it.
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK]);
    await client.query(HISTORY);
    return await applyMissing(client, steps ?? (await readMigrations()));
  } finally {
    await client.end();
  }
}

/** Whether every step of this version was taken as it is. */
export async function hasNewestSchema(query: Query): Promise<boolean> {
  const taken = await query<Taken>('SELECT name, hash FROM schema_migrations');
  const hashes = new Map(taken.map(({ name, hash }) => [name, hash]));
  return (await readMigrations()).every(({ name, hash }) => hashes.get(name) === hash);
}

type Taken = { name: string; hash: string };

const HISTORY = `CREATE TABLE IF NOT EXISTS schema_migrations (
  name text PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`;

async function applyMissing(client: pg.Client, steps: readonly Migration[]): Promise<string[]> {
  const { rows: taken } = await client.query<Taken>('SELECT name, hash FROM schema_migrations');
  for (const { name, hash } of taken) {
    const step = steps.find((candidate) => candidate.name === name);
    if (!step) throw new Error(`the database is newer than this version: it has ${name}`);
    if (step.hash !== hash) throw new Error(`the migration ${name} was changed after it was taken`);
  }
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
  return (await umzug.up()).map(({ name }) => name);
}

async function takeStep(client: pg.Client, { name, hash, sql }: Migration): Promise<void> {
  try {
    await client.query('BEGIN');
    await client.query(sql);
    await client.query('INSERT INTO schema_migrations (name, hash) VALUES ($1, $2)', [name, hash]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

async function readMigrations(): Promise<Migration[]> {
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(new URL(name, FOLDER), 'utf8');
      return { name, sql, hash: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}
