import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const START_MS = 30_000;
const END_MS = 5000;

/** A process of the bench: it says its port in the first line it prints. */
export interface Program {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

interface Foreign {
  readonly file: string;
  /** Loaded first. */
  readonly preload: URL;
  readonly args: readonly string[];
}

/** Starts `programs/<name>-main.ts`, or a program of others. */
export async function startProgram(
  name: string,
  env: Readonly<Record<string, string>> = {},
  foreign?: Foreign,
): Promise<Program> {
  const own = fileURLToPath(new URL(`../programs/${name}-main.ts`, import.meta.url));
  const program = foreign ? [`--import=${foreign.preload.href}`, foreign.file, ...foreign.args] : [own];
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...program], {
    env: { PATH: process.env.PATH, NODE_ENV: 'production', ...env },
    // What others complain about is seen in their answers.
    stdio: ['ignore', 'pipe', foreign ? 'ignore' : 'inherit'],
  });
  const stop = () => endOf(child);
  try {
    const port = await Promise.race([portOf(child), pause(START_MS, undefined, { ref: false })]);
    if (port === undefined) throw new Error(`${name} did not begin to listen`);
    return { name, url: `http://127.0.0.1:${port}`, pid: child.pid ?? 0, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function portOf({ stdout }: ChildProcess): Promise<number | undefined> {
  if (!stdout) return Promise.resolve(undefined);
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  // To the end of its life: a program that is not read from stands still.
  createInterface({ input: stdout })
    .on('line', (line) => {
      if (line.startsWith('{"port":')) resolve((JSON.parse(line) as { port: number }).port);
    })
    .on('close', () => resolve(undefined));
  return promise;
}

/** By its id, and without mercy when it does not go. */
async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const late = pause(END_MS, 'late', { ref: false });
  if ((await Promise.race([exit, late])) !== 'late') return;
  child.kill('SIGKILL');
  await exit;
}
