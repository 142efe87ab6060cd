import { randomBytes, randomUUID } from 'node:crypto';
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
