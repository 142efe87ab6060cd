import { rm } from 'node:fs/promises';
import { type DevDatabase, startMongo, startPostgres } from '@tollgate/dev-databases';
import { keptPorts } from '../free-ports.ts';

/** A database server of a test's own: durable, so that it may be killed and must come back with what it has acknowledged. */
export interface OwnDatabase {
  /** Stays the same over its deaths. */
  readonly url: string;
  readonly engine: string;
  /** False where the server has no processes of ours, for example in a container: then nothing can happen to it. */
  readonly isOurs: boolean;
  /** To each of its processes. SIGKILL gives it no chance to tidy up. */
  signal(signal: NodeJS.Signals): void;
  /** Starts it again on its data, after a SIGKILL or in any case. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const START_ATTEMPTS = 5;

/** Starts a server on a folder that goes with it. */
export async function startOwnDatabase(kind: 'postgres' | 'mongo', dataDir: string): Promise<OwnDatabase> {
  const [port = 0] = await keptPorts(1);
  const start = (): Promise<DevDatabase> =>
    (kind === 'postgres' ? startPostgres : startMongo)({
      dataDir,
      durable: true,
      endsWithCaller: true,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, XDG_CACHE_HOME: process.env.XDG_CACHE_HOME },
      port,
    });
  let running = await start();
  const { url, engine } = running;
  return {
    url,
    engine,
    isOurs: running.pids.length > 0,
    signal(signal) {
      for (const pid of running.pids) sendTo(pid, signal);
    },
    async restart() {
      for (let attempt = 1; ; attempt += 1) {
        await running.stop();
        try {
          running = await start();
          return;
        } catch (error) {
          if (attempt === START_ATTEMPTS) throw error;
        }
      }
    },
    async stop() {
      await running.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

function sendTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
