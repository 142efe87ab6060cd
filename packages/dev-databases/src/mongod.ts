import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { endsWithCaller, firstLine, once, REPLICA_SET, Unavailable } from './dev-database.ts';
import type { DevDatabase, StartOptions } from './dev-database.ts';
import { withOwnedFolder } from './owned-folder.ts';
import { commandLine, end, freePort, isRunning, launch, run } from './processes.ts';
import { openReplicaSet } from './replica-set.ts';

const STOP_TIMEOUT_MS = 20_000;
const START_ATTEMPTS = 5;
const WATCH_MS = 50;
const VERSION_TIMEOUT_MS = 5_000;
const OLDEST_MAJOR = 6;

/** Runs a mongod program as a one-node replica set. @throws Unavailable when the program does not run here. */
export async function startMongod(options: StartOptions, binary: string, origin: string): Promise<DevDatabase> {
  const version = await versionOf(binary);
  if (Number.parseInt(version, 10) < OLDEST_MAJOR)
    throw new Unavailable(`MongoDB ${version} is older than ${OLDEST_MAJOR}`);
  return withOwnedFolder(join(options.dataDir, 'mongod'), async (folder) => {
    const data = join(folder, 'data');
    await mkdir(data, { recursive: true });
    await endOrphan(data);
    const { pid, port } = await startServer(options, binary, folder);
    const url = `mongodb://127.0.0.1:${port}/?replicaSet=${REPLICA_SET}`;
    const stop = once(() => end(pid, ['SIGTERM', 'SIGKILL'], STOP_TIMEOUT_MS));
    return { url, engine: `MongoDB ${version} (${origin})`, pids: [pid], stop };
  });
}

async function startServer(
  options: StartOptions,
  binary: string,
  folder: string,
): Promise<{ pid: number; port: number }> {
  const logFile = join(folder, 'mongod.log');
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort());
    const command = { file: binary, args: argumentsFor(options, join(folder, 'data'), port) };
    const ending = endsWithCaller(options) ? 'TERM' : undefined;
    const { pid } = await launch(command, { cwd: folder, env: options.env, logFile, endsWithCaller: ending });
    try {
      await openUnlessEnded(port, pid);
      return { pid, port };
    } catch (error) {
      await end(pid, ['SIGTERM', 'SIGKILL'], STOP_TIMEOUT_MS);
      const isPortTaken = (await readFile(logFile, 'utf8')).includes('Address already in use');
      if (!isPortTaken || options.port !== undefined || attempt === START_ATTEMPTS) {
        throw new Error(`mongod did not start: ${firstLine(error)} (${logFile})`, { cause: error });
      }
    }
  }
}

function argumentsFor(options: StartOptions, data: string, port: number): string[] {
  const args = ['--dbpath', data, '--port', String(port), '--bind_ip', '127.0.0.1', '--nounixsocket'];
  args.push('--replSet', REPLICA_SET, '--oplogSize', '128', '--wiredTigerCacheSizeGB', '0.5');
  // Tests move their own clock, so documents must not vanish by the wall clock; expireDocuments does it on demand.
  if (!options.durable) args.push('--setParameter', 'ttlMonitorEnabled=false');
  return args;
}

/** A driver would wait its full time for a server that has already given up. */
async function openUnlessEnded(port: number, pid: number): Promise<void> {
  const over = new AbortController();
  const watch = setInterval(async () => {
    if (!(await isRunning(pid))) over.abort();
  }, WATCH_MS);
  try {
    await openReplicaSet(`mongodb://127.0.0.1:${port}/`, `127.0.0.1:${port}`, over.signal);
  } catch (error) {
    throw over.signal.aborted ? new Error('it ended at once', { cause: error }) : error;
  } finally {
    clearInterval(watch);
  }
}

/** mongod keeps its process id in mongod.lock and empties the file when it ends cleanly. */
async function endOrphan(data: string): Promise<void> {
  const pid = Number((await readFile(join(data, 'mongod.lock'), 'utf8').catch(() => '')).trim());
  if (!Number.isInteger(pid) || pid <= 0 || !(await isRunning(pid))) return;
  if ((await commandLine(pid)).includes(data)) await end(pid, ['SIGTERM', 'SIGKILL'], STOP_TIMEOUT_MS);
}

async function versionOf(binary: string): Promise<string> {
  try {
    const words = await run({ file: binary, args: ['--version'] }, { timeoutMs: VERSION_TIMEOUT_MS });
    return /db version v(\S+)/.exec(words)?.[1] ?? 'of unknown version';
  } catch (error) {
    throw new Unavailable(firstLine(error), { cause: error });
  }
}
