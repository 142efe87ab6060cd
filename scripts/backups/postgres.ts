import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { runMigrations } from '../../services/accounting/src/store/migrate.ts';
import type { Books, PostgresDump } from './manifest.ts';
import { type Program, postgresProgram } from './postgres-programs.ts';
import type { BackupSettings } from './settings.ts';
import { readStored, type Store, writeStored } from './stored-file.ts';

const CONNECT_MS = 5000;
const LONGEST_COMPLAINT = 4000;
const NAME = 'tollgate-backup';

/** One statement, so that the figures are of one moment. */
const BOOKS = `SELECT
  (SELECT count(*) FROM user_accounts)::float8 AS accounts,
  (SELECT count(*) FROM credit_entries)::float8 AS entries,
  (SELECT coalesce(sum(total_credits), 0) FROM user_accounts)::float8 AS credits,
  (SELECT count(*) FROM streaming_sessions WHERE status = 'active')::float8 AS "openHolds"`;

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS, application_name: NAME });
  // A connection that breaks is told by the statement that needs it.
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const one = async <Row extends pg.QueryResultRow>(client: pg.Client, sql: string): Promise<Row> => {
  const [row] = (await client.query<Row>(sql)).rows;
  if (!row) throw new Error('the database gave no answer');
  return row;
};

const majorOf = async (client: pg.Client): Promise<number> =>
  Math.floor(
    Number((await one<{ number: string }>(client, 'SELECT current_setting($$server_version_num$$) AS number')).number) /
      10_000,
  );

/** Saves the database as it is at one moment, with the figures of that same moment; it may be in use. */
export function dumpPostgres(store: Store, { postgres, programs }: BackupSettings): Promise<PostgresDump> {
  return withClient(postgres.ownerUrl, async (client) => {
    const major = await majorOf(client);
    const program = await postgresProgram('pg_dump', major, programs);
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const { snapshot, server } = await one<{ snapshot: string; server: string }>(
      client,
      'SELECT pg_export_snapshot() AS snapshot, version() AS server',
    );
    const takenAt = new Date().toISOString();
    const books = await one<Books>(client, BOOKS);
    const args = [
      '--format=custom',
      '--no-owner',
      '--no-acl',
      '--lock-wait-timeout=10s',
      `--snapshot=${snapshot}`,
      `--dbname=${nameIn(postgres.ownerUrl)}`,
    ];
    const child = run(program, args, postgres.ownerUrl);
    child.stdin.end();
    const path = store.key === undefined ? 'accounting.dump' : 'accounting.dump.sealed';
    const [file] = await Promise.all([writeStored(store, path, [child.stdout]), child.ended]);
    await client.query('COMMIT');
    return { takenAt, server: server.slice(0, 100), books: { ...books }, file };
  });
}

/** Refuses a database that somebody uses, or with anything in it unless it may be emptied. */
export function readyForRestore({ postgres, programs }: BackupSettings, mayEmpty: boolean): Promise<void> {
  return withClient(postgres.ownerUrl, async (client) => {
    await postgresProgram('pg_restore', await majorOf(client), programs);
    const { others } = await one<{ others: string }>(
      client,
      'SELECT count(*) AS others FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = $$client backend$$',
    );
    if (Number(others) > 0) throw new Error('the database of accounting is in use; stop the services first');
    const { relations } = await one<{ relations: string }>(
      client,
      `SELECT count(*) AS relations FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname IN ('public', 'ledger') AND c.relkind IN ('r', 'p', 'v', 'm', 'S')`,
    );
    if (Number(relations) === 0) return;
    if (!mayEmpty) throw new Error('the database of accounting is not empty; --force empties it');
    await client.query('DROP SCHEMA IF EXISTS ledger CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public');
  });
}

/** Puts the database back whole or not at all, lets the role that serves in, and compares the figures. */
export async function restorePostgres(store: Store, dump: PostgresDump, settings: BackupSettings): Promise<void> {
  const { postgres, programs } = settings;
  const major = await withClient(postgres.ownerUrl, majorOf);
  const program = await postgresProgram('pg_restore', major, programs);
  const args = [
    '--no-owner',
    '--no-acl',
    '--single-transaction',
    '--exit-on-error',
    `--dbname=${nameIn(postgres.ownerUrl)}`,
  ];
  const child = run(program, args, postgres.ownerUrl);
  child.stdout.resume();
  await Promise.all([readStored(store, dump.file.path, (pieces) => pipeline(pieces, child.stdin)), child.ended]);
  // Also brings an older copy to this version.
  await runMigrations(postgres.ownerUrl, undefined, postgres.serviceRole);
  const books = await withClient(postgres.ownerUrl, (client) => one<Books>(client, BOOKS));
  for (const [name, saved] of Object.entries(dump.books)) {
    const found = Object.entries(books).find(([other]) => other === name)?.[1];
    if (found !== saved) throw new Error(`the books have ${found} ${name} after the restore, and had ${saved}`);
  }
}

const nameIn = (url: string): string => decodeURIComponent(new URL(url).pathname.slice(1));

/** A program of PostgreSQL that is told of the server by its environment; `ended` fails with what it complained of. */
function run({ file, args: first }: Program, args: readonly string[], url: string) {
  const { hostname, port, username, password, searchParams } = new URL(url);
  const child = spawn(
    file,
    [
      ...first,
      `--host=${hostname}`,
      `--port=${port || 5432}`,
      `--username=${decodeURIComponent(username)}`,
      '--no-password',
      ...args,
    ],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        PGPASSWORD: decodeURIComponent(password),
        PGSSLMODE: searchParams.get('sslmode') ?? 'prefer',
        PGAPPNAME: NAME,
        PGCONNECT_TIMEOUT: '5',
      },
    },
  );
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-LONGEST_COMPLAINT);
  });
  // Its end says more than a broken pipe does.
  child.stdin.on('error', () => {});
  const ended = once(child, 'close').then(([code]) => {
    if (code !== 0) throw new Error(complaint.trim().split('\n')[0] ?? `${file} ended with ${code}`);
  });
  ended.catch(() => {});
  return { stdin: child.stdin, stdout: child.stdout, ended };
}
