import { randomBytes } from 'node:crypto';
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { once } from './dev-database.ts';
import type { Environment } from './dev-database.ts';
import { commandLine, end, freePort, isRunning, launch, run, until } from './processes.ts';
import { serverAccount } from './server-account.ts';
import type { ServerAccount } from './server-account.ts';

const USER = 'tollgate';
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
const START_ATTEMPTS = 20;
const RETRY_MS = 250;

/** Nothing here survives a power cut: only for data that is thrown away. */
export const NOT_DURABLE = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };
const ALWAYS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '300',
  shared_buffers: '128MB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  jit: 'off',
};

export type ClusterOptions = {
  /** Folder with the programs initdb and postgres. */
  binaries: string;
  /** Holds `data`, `password` and `postgres.log`. */
  folder: string;
  durable: boolean;
  endsWithCaller: boolean;
  env: Environment;
  port?: number;
  settings?: Record<string, string>;
  initdb?: string[];
  /** Extensions of this server open connections of their own to it, so it must know the password. */
  connectsToItself?: boolean;
  /** Makes the data folder and the password file in another way than initdb does. */
  seed?: (draft: { data: string; password: string }) => Promise<void>;
};

export type Cluster = {
  pid: number;
  /** Connection string for a database of this cluster. */
  url(database: string): string;
  stop(): Promise<void>;
};

/**
 * Starts PostgreSQL on a data folder, after making it when missing and ending a server that a killed caller left on it.
 * The caller holds the folder's lock.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const account = await serverAccount(options.env);
  await mkdir(options.folder, { recursive: true });
  await endOrphan(join(options.folder, 'data'));
  await initialise(options, account);
  const password = await readFile(join(options.folder, 'password'), 'utf8');
  const { pid, port } = await startServer(options, account);
  return {
    pid,
    url: (database) => `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`,
    // Fast shutdown ends open sessions and writes a checkpoint; immediate shutdown only if that takes for ever.
    stop: once(() => end(pid, ['SIGINT', 'SIGQUIT', 'SIGKILL'], STOP_TIMEOUT_MS)),
  };
}

/** A half-made data folder must not look like a finished one, so it is renamed into place last. */
async function initialise(options: ClusterOptions, account: ServerAccount): Promise<void> {
  const data = join(options.folder, 'data');
  if (await exists(join(data, 'PG_VERSION'))) return;
  const draft = { data: join(options.folder, 'data.new'), password: join(options.folder, 'password') };
  await Promise.all([data, draft.data].map((path) => rm(path, { recursive: true, force: true })));
  if (options.seed) {
    await options.seed(draft);
    await Promise.all(Object.values(draft).map(account.own));
  } else {
    await initdb(options, account, draft);
  }
  await rename(draft.data, data);
}

async function initdb(
  options: ClusterOptions,
  account: ServerAccount,
  draft: { data: string; password: string },
): Promise<void> {
  await mkdir(draft.data, { mode: 0o700 });
  await writeFile(draft.password, randomBytes(24).toString('base64url'), { mode: 0o600 });
  await Promise.all(Object.values(draft).map(account.own));
  const file = join(options.binaries, 'initdb');
  const args = ['-D', draft.data, '-U', USER, '-A', 'scram-sha-256', `--pwfile=${draft.password}`, '--encoding=UTF8'];
  if (!options.durable) args.push('--no-sync');
  const command = { file, args: [...args, ...(options.initdb ?? ['--locale=C'])] };
  await run(await account.command(command, [file, draft.data]), { env: serverEnvironment(options.env), cwd: '/' });
}

async function startServer(options: ClusterOptions, account: ServerAccount): Promise<{ pid: number; port: number }> {
  const log = join(options.folder, 'postgres.log');
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort());
    const pid = await tryToStart(options, account, port);
    if (pid !== undefined) return { pid, port };
    const words = await readFile(log, 'utf8');
    const isTaken = /Address already in use|could not create any TCP\/IP sockets/.test(words);
    // Sessions of a killed server need a moment to notice; a port found free a moment ago may be taken now.
    const mayPass = isTaken ? options.port === undefined : /shared memory block.*still in use/.test(words);
    if (!mayPass || attempt === START_ATTEMPTS) {
      const fault = isTaken ? `port ${port} is taken` : lastFault(words);
      throw new Error(`PostgreSQL did not start: ${fault} (${log})`);
    }
    await pause(RETRY_MS);
  }
}

/** @returns the process id once the server takes connections, or undefined when it gave up (its log says why). */
async function tryToStart(options: ClusterOptions, account: ServerAccount, port: number): Promise<number | undefined> {
  const data = join(options.folder, 'data');
  const file = join(options.binaries, 'postgres');
  const settings = { ...ALWAYS, ...(options.durable ? {} : NOT_DURABLE), ...options.settings };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const command = await account.command({ file, args: ['-D', data, '-p', String(port), ...flags] }, [file, data]);
  const logFile = join(options.folder, 'postgres.log');
  const password = options.connectsToItself
    ? { PGPASSWORD: await readFile(join(options.folder, 'password'), 'utf8') }
    : {};
  const { pid } = await launch(command, {
    cwd: '/',
    env: { ...serverEnvironment(options.env), ...password },
    logFile,
    endsWithCaller: options.endsWithCaller ? 'QUIT' : undefined,
  });
  const status = async () => {
    if (!(await isRunning(pid))) return false;
    return (await statusOf(data, pid)) === 'ready' || undefined;
  };
  try {
    return (await until(status, START_TIMEOUT_MS, 'The start of PostgreSQL')) ? pid : undefined;
  } catch (error) {
    await end(pid, ['SIGQUIT', 'SIGKILL'], STOP_TIMEOUT_MS);
    throw error;
  }
}

/** postmaster.pid: the first line is the process id, the eighth turns to "ready" when connections are taken. */
async function statusOf(data: string, pid: number): Promise<string | undefined> {
  const lines = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  return lines[0] === String(pid) ? lines[7]?.trim() : undefined;
}

/** Two servers on one data folder would destroy it. One left behind is ended; a stranger's process number is forgotten. */
async function endOrphan(data: string): Promise<void> {
  const pidFile = join(data, 'postmaster.pid');
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).split('\n', 1)[0]);
  if (!Number.isInteger(pid) || pid <= 0) return;
  if ((await isRunning(pid)) && (await commandLine(pid)).includes(data)) {
    await end(pid, ['SIGINT', 'SIGQUIT', 'SIGKILL'], STOP_TIMEOUT_MS);
  }
  await rm(pidFile, { force: true });
}

const serverEnvironment = (env: Environment): Environment => ({
  PATH: env['PATH'] ?? process.env['PATH'],
  LC_ALL: 'C',
  TZ: 'UTC',
});

const lastFault = (log: string) =>
  log.split('\n').findLast((line) => /FATAL|PANIC|could not|error/.test(line)) ?? log.trim().split('\n').at(-1) ?? '';

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
