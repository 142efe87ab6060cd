import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { paths } from './paths.ts';
import { step, Trouble } from './progress.ts';

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;
const RESTART_PAUSE_MS = 500;
/** A service that keeps dying is not started for ever. */
const MAX_RESTARTS = 50;

export interface ServiceSpec {
  readonly name: string;
  readonly main: string;
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
  readonly watch: boolean;
}

export interface RunningService {
  readonly name: string;
  pid(): number;
  stop(): Promise<void>;
}

/** Starts a service, waits until it is ready, and starts it again when it dies on its own. */
export async function startService(spec: ServiceSpec, onRestart: () => void): Promise<RunningService> {
  mkdirSync(paths.logs, { recursive: true });
  const log = createWriteStream(join(paths.logs, `${spec.name}.log`), { flags: 'a' });
  let stopping = false;
  let restarts = 0;
  let child = launch();

  function launch(): ChildProcess {
    const started = spawn(
      process.execPath,
      [...(spec.watch ? ['--watch', '--watch-preserve-output'] : []), '--conditions=tollgate', spec.main],
      {
        env: {
          PATH: process.env['PATH'],
          HOME: process.env['HOME'],
          NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
          ...spec.env,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    started.stdout?.pipe(log, { end: false });
    started.stderr?.pipe(log, { end: false });
    started.once('exit', (code, signal) => {
      if (stopping || restarts >= MAX_RESTARTS) return;
      restarts += 1;
      step(`${spec.name} ended (${signal ?? `exit code ${code}`}); starting it again`);
      setTimeout(() => {
        if (stopping) return;
        child = launch();
        onRestart();
      }, RESTART_PAUSE_MS);
    });
    return started;
  }

  try {
    await untilReady(spec, () => child.exitCode !== null && restarts > 2);
  } catch (error) {
    stopping = true;
    child.kill('SIGKILL');
    throw error;
  }
  return {
    name: spec.name,
    pid: () => child.pid ?? 0,
    async stop() {
      stopping = true;
      await endProcess(child);
      log.end();
    },
  };
}

async function untilReady(spec: ServiceSpec, hasGivenUp: () => boolean): Promise<void> {
  const end = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < end && !hasGivenUp()) {
    const response = await fetch(`${spec.url}/health/ready`).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  const log = join(paths.logs, `${spec.name}.log`);
  const lastWords = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-3);
  throw new Trouble(
    `${spec.name} did not become ready. The end of ${log}:\n${lastWords.map((line) => line.slice(0, 500)).join('\n')}`,
  );
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const hard = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(hard);
}
