import { execFile } from 'node:child_process';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { type Program, startProgram } from './program.ts';
import type { Closers } from './closers.ts';
import type { World } from './world.ts';

const PORTKEY_PACKAGE = '@portkey-ai/gateway';
const PORTKEY_VERSION = '1.15.2';
export const PORTKEY = `${PORTKEY_PACKAGE} ${PORTKEY_VERSION}`;
const INSTALL_MS = 180_000;
const FOLDER = fileURLToPath(new URL('../../../.tollgate/bench', import.meta.url));

export interface ThreeCalls {
  readonly proxy: Program;
  readonly accounting: Program;
}

/** The flow of the service document, with a database of its own beside ours on the same server. */
export async function startThreeCalls(
  { databases, upstream, environments }: World,
  closers: Closers,
): Promise<ThreeCalls> {
  const database = new URL(databases.postgres.url);
  await onServer(database.href, 'CREATE DATABASE three_calls');
  database.pathname = '/three_calls';
  const [, secret = ''] = (environments.chatProxy['JWT_ACCESS_SECRET'] ?? '').split(':');
  const accounting = await startProgram('three-calls-accounting', {
    DATABASE_URL: database.href,
    TOKEN_SECRET: secret,
  });
  closers.add(accounting.stop);
  const proxy = await startProgram('three-calls-proxy', {
    UPSTREAM_URL: upstream.url,
    ACCOUNTING_URL: accounting.url,
    TOKEN_SECRET: secret,
  });
  closers.add(proxy.stop);
  return { proxy, accounting };
}

/** Portkey's gateway out of npm; installed once, beside what the tests leave behind. @throws Error where npm has none. */
export async function startPortkey(closers: Closers): Promise<Program> {
  const folder = join(FOLDER, `portkey-${PORTKEY_VERSION}`);
  const file = join(folder, 'node_modules', PORTKEY_PACKAGE, 'build', 'start-server.js');
  const isThere = await access(file).then(
    () => true,
    () => false,
  );
  if (!isThere) await install(folder, [`${PORTKEY_PACKAGE}@${PORTKEY_VERSION}`]);
  const program = await startProgram(
    'portkey',
    {},
    { file, preload: new URL('../programs/loopback.ts', import.meta.url), args: ['--headless'] },
  );
  closers.add(program.stop);
  return program;
}

/** Whole or not at all: an installation that breaks off is begun anew. */
async function install(folder: string, packages: readonly string[]): Promise<void> {
  const unfinished = `${folder}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  const how = ['--no-save', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund'];
  await promisify(execFile)('npm', ['install', '--prefix', unfinished, ...how, ...packages], {
    timeout: INSTALL_MS,
    killSignal: 'SIGKILL',
  });
  await rename(unfinished, folder);
}

export async function onServer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
