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

/** Starts `programs/<name>-main.ts`. */
export async function startProgram(name: string, env: Readonly<Record<string, string>> = {}): Promise<Program> {
  const file = fileURLToPath(new URL(`../programs/${name}-main.ts`, import.meta.url));
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', file], {
    env: { PATH: process.env.PATH, NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
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

async function portOf({ stdout }: ChildProcess): Promise<number | undefined> {
  if (!stdout) return undefined;
  for await (const line of createInterface({ input: stdout })) return (JSON.parse(line) as { port: number }).port;
  return undefined;
}

/** By its id, and without mercy when it does not go. */
export async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const late = pause(END_MS, 'late', { ref: false });
  if ((await Promise.race([exit, late])) !== 'late') return;
  child.kill('SIGKILL');
  await exit;
}
