import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { openServiceRole } from '@tollgate/dev-databases';
import pg from 'pg';

/** A database of a test's own; `drop` is optional, since the whole server goes away with the run. */
export interface TestDatabase {
  readonly url: string;
  /** The same database as a role that owns nothing, for a service that tells the two apart. */
  readonly serviceUrl: string;
  drop(): Promise<void>;
}

const fromEnvironment = (name: string): string => {
  const url = process.env[name];
  if (url === undefined)
    throw new Error(`${name} is not set: run the tests through jest, whose global setup starts the databases`);
  return url;
};

/** A fresh, empty PostgreSQL database on the server of this test run. */
export async function createPostgresDatabase(template = 'template0'): Promise<TestDatabase> {
  const server = fromEnvironment('TEST_POSTGRES_URL');
  const name = `t_${randomUUID().replaceAll('-', '')}`;
  await onServer(server, `CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY file_copy`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  const role = `${name}_service`;
  return {
    url: url.href,
    serviceUrl: await openServiceRole(url.href, role, randomBytes(24).toString('base64url')),
    async drop() {
      await onServer(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await onServer(server, `DROP ROLE IF EXISTS ${role}`);
    },
  };
}

/** Of accounting, by its path, as services are started: a package knows no service. */
interface Migrations {
  readSchema(): Promise<{ steps: readonly { hash: string }[]; functions: { hash: string } }>;
  runMigrations(url: string): Promise<unknown>;
}
const MIGRATIONS = new URL('../../../../services/accounting/src/store/migrate.ts', import.meta.url).href;
const VERSION_DIGITS = 16;

/**
 * A database with accounting's newest schema, into which the role of its service is still to be let: migrating does that. It is
 * made once for the run, whichever of its processes asks first, and copied from then on.
 */
export async function createLedgerDatabase(): Promise<TestDatabase> {
  const { readSchema, runMigrations } = (await import(MIGRATIONS)) as Migrations;
  const { steps, functions } = await readSchema();
  const hashes = [...steps, functions].map(({ hash }) => hash).join();
  const version = createHash('sha256').update(hashes).digest('hex').slice(0, VERSION_DIGITS);
  const name = `ledger_${version}`;
  await makeOnce(name, runMigrations);
  return createPostgresDatabase(name);
}

async function makeOnce(name: string, fill: (url: string) => Promise<unknown>): Promise<void> {
  const server = fromEnvironment('TEST_POSTGRES_URL');
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    // Given back with the connection.
    await client.query('SELECT pg_advisory_lock(hashtext($1))', [name]);
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (rowCount !== 0) return;
    // Under another name until it is whole: somebody may be killed over it.
    const draft = `${name}_draft`;
    await client.query(`DROP DATABASE IF EXISTS ${draft} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${draft} TEMPLATE template0`);
    const url = new URL(server);
    url.pathname = `/${draft}`;
    await fill(url.href);
    await client.query(`ALTER DATABASE ${draft} RENAME TO ${name}`);
  } finally {
    await client.end();
  }
}

/** The URL of a Mongo database that nobody else uses; it exists once something is written. */
export function mongoDatabaseUrl(): string {
  const url = new URL(fromEnvironment('TEST_MONGO_URL'));
  url.pathname = `/t_${randomUUID().replaceAll('-', '')}`;
  return url.href;
}

async function onServer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
