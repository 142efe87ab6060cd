import { once as event } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { nodeProgram } from './child-program.ts';
import { endsWithCaller, firstLine, once, REPLICA_SET, Unavailable } from './dev-database.ts';
import type { DevDatabase, StartOptions } from './dev-database.ts';
import { DOCUMENTDB_SETTINGS, installDocumentDb } from './documentdb-install.ts';
import type { Installation } from './documentdb-install.ts';
import type { GatewaySettings } from './documentdb-gateway/gateway.ts';
import { withOwnedFolder } from './owned-folder.ts';
import { startCluster } from './postgres-cluster.ts';
import { commandLine, end, isRunning, launch, run } from './processes.ts';

const PROGRAM = 'documentdb-gateway-main';
const GATEWAY_START_MS = 20_000;
const GATEWAY_STOP_MS = 5_000;

/**
 * A development double of MongoDB: PostgreSQL with the DocumentDB extension behind a small gateway that speaks the wire
 * protocol. Installed into the cache folder on first use.
 * @throws Unavailable where it cannot be installed.
 */
export async function startDocumentDb(options: StartOptions): Promise<DevDatabase> {
  const installation = await installDocumentDb(options).catch((error: unknown) => {
    throw new Unavailable(firstLine(error), { cause: error });
  });
  return withOwnedFolder(join(options.dataDir, 'documentdb'), async (folder) => {
    await endOrphan(folder);
    const cluster = await startCluster({
      binaries: installation.binaries,
      folder,
      durable: options.durable,
      endsWithCaller: endsWithCaller(options),
      env: options.env,
      settings: DOCUMENTDB_SETTINGS,
      connectsToItself: true,
      // Saves making a server and installing the extension in it.
      seed: async ({ data, password }) => {
        await run({ file: 'cp', args: ['-a', '--reflink=auto', join(installation.template, 'data'), data] });
        await copyFile(join(installation.template, 'password'), password);
      },
    });
    const gateway = await startGateway(options, folder, {
      databaseUrl: cluster.url('postgres'),
      port: options.port ?? 0,
      version: installation.version,
      expires: options.durable,
    }).catch(async (error: unknown) => {
      await cluster.stop();
      throw error;
    });
    return {
      url: `mongodb://127.0.0.1:${gateway.port}/?replicaSet=${REPLICA_SET}`,
      engine: engineOf(installation),
      pids: [gateway.pid, cluster.pid],
      stop: once(async () => {
        await gateway.stop();
        await cluster.stop();
      }),
    };
  });
}

const engineOf = ({ version, postgresVersion }: Installation) =>
  `DocumentDB ${version} on PostgreSQL ${postgresVersion} (development double of MongoDB)`;

type Gateway = { pid: number; port: number; stop(): Promise<void> };

async function startGateway(options: StartOptions, folder: string, settings: GatewaySettings): Promise<Gateway> {
  const logFile = join(folder, 'gateway.log');
  const env = { PATH: options.env['PATH'] ?? process.env['PATH'] };
  const child = await launch(nodeProgram(PROGRAM, [folder]), { cwd: folder, env, logFile, stdio: 'pipe' });
  const stop = once(() => end(child.pid, ['SIGTERM', 'SIGKILL'], GATEWAY_STOP_MS));
  try {
    await writeFile(join(folder, 'gateway.pid'), String(child.pid));
    child.stdin?.write(`${JSON.stringify({ ...settings, endsWithCaller: endsWithCaller(options) })}\n`);
    const lines = createInterface({ input: child.stdout ?? process.stdin });
    const [port] = await event(lines, 'line', { signal: AbortSignal.timeout(GATEWAY_START_MS) });
    for (const pipe of [child.stdin, child.stdout]) (pipe as unknown as { unref(): void } | null)?.unref();
    return { pid: child.pid, port: Number(port), stop };
  } catch (error) {
    await stop();
    throw new Error(`The DocumentDB gateway did not start (${logFile})`, { cause: error });
  }
}

async function endOrphan(folder: string): Promise<void> {
  const pid = Number(await readFile(join(folder, 'gateway.pid'), 'utf8').catch(() => ''));
  if (!Number.isInteger(pid) || pid <= 0 || !(await isRunning(pid))) return;
  const command = await commandLine(pid);
  if (command.includes(PROGRAM) && command.includes(folder)) await end(pid, ['SIGTERM', 'SIGKILL'], GATEWAY_STOP_MS);
}
