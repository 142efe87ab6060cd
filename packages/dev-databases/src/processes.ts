import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { access, open, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

import type { Environment } from './dev-database.ts';

const runFile = promisify(execFile);
const POLL_MS = 20;
const OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024;

export type Command = { file: string; args: string[] };

type RunOptions = { env?: Environment; cwd?: string; timeoutMs?: number };

/**
 * Runs a command to its end and returns what it printed on stdout.
 * @throws Error with a line of its stderr when it fails or takes longer than `timeoutMs`.
 */
export async function run({ file, args }: Command, { env, cwd, timeoutMs = 0 }: RunOptions = {}): Promise<string> {
  try {
    const options = {
      timeout: timeoutMs,
      maxBuffer: OUTPUT_LIMIT_BYTES,
      ...(env && { env: { ...env } }),
      ...(cwd && { cwd }),
    };
    return (await runFile(file, args, options)).stdout;
  } catch (error) {
    const { stderr = '', killed } = error as { stderr?: string; killed?: boolean };
    const lines = stderr.trim().split('\n');
    // apt ends with a summary; what went wrong stands in its first error.
    const fault = lines.find((line) => line.startsWith('E: ')) ?? lines.at(-1);
    const words = killed ? `took longer than ${timeoutMs / 1000} s` : fault || String(error);
    throw new Error(`${basename(file)}: ${words}`, { cause: error });
  }
}

type LaunchOptions = {
  env: Environment;
  cwd: string;
  logFile: string;
  stdio?: 'ignore' | 'pipe';
  /** What ends the server when the calling process is gone; without it the server stays. */
  endsWithCaller?: 'QUIT' | 'TERM' | undefined;
};

/** Starts a server in a process group of its own, so that Ctrl-C in the caller's terminal does not reach it first. */
export async function launch({ file, args }: Command, options: LaunchOptions): Promise<ChildProcess & { pid: number }> {
  const log = await open(options.logFile, 'w', 0o600);
  try {
    const pipes = options.stdio ?? 'ignore';
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: { ...options.env },
      detached: true,
      stdio: [pipes, pipes === 'pipe' ? 'pipe' : log.fd, log.fd],
    });
    await once(child, 'spawn');
    child.unref();
    if (options.endsWithCaller) endWithCaller(child, options.endsWithCaller);
    return child as ChildProcess & { pid: number };
  } finally {
    await log.close();
  }
}

/** However the calling process goes, a pipe that only it holds comes to an end, and a shell waits for that. */
function endWithCaller(child: ChildProcess, signal: 'QUIT' | 'TERM'): void {
  const watch = spawn('/bin/sh', ['-c', `read -r _ || kill -${signal} ${child.pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watch.on('error', () => undefined);
  watch.stdin.on('error', () => undefined);
  watch.unref();
  (watch.stdin as unknown as { unref(): void }).unref();
  child.once('exit', () => watch.stdin.end('over\n'));
}

/** True while the process runs; a zombie, which nobody has waited for yet, no longer does. */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return (await statOf(pid))[0] !== 'Z';
}

/** Start of a process in clock ticks since boot, or '-' where the system has no /proc. */
export async function birthOf(pid: number): Promise<string> {
  return (await statOf(pid))[19] ?? '-';
}

/** proc_pid_stat(5) from field 3 (state) on; field 2 is a name in brackets that may hold anything. */
async function statOf(pid: number): Promise<string[]> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat === '' ? [] : stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** The command line of a process with its arguments separated by spaces, or '' when it cannot be read. */
export async function commandLine(pid: number): Promise<string> {
  const linux = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
  if (linux !== undefined) return linux.replaceAll('\0', ' ');
  return run({ file: 'ps', args: ['-o', 'command=', '-p', String(pid)] }).catch(() => '');
}

/** Asks a process to end with each signal in turn and waits `timeoutMs` after each. @throws Error when it survives all. */
export async function end(pid: number, signals: NodeJS.Signals[], timeoutMs: number): Promise<void> {
  for (const signal of signals) {
    if (!(await isRunning(pid))) return;
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    if (await hasEnded(pid, timeoutMs)) return;
  }
  throw new Error(`Process ${pid} did not end`);
}

async function hasEnded(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    if (!(await isRunning(pid))) return true;
    await pause(POLL_MS);
  }
  return !(await isRunning(pid));
}

/** Waits until `check` answers; undefined means not yet. @throws Error after `timeoutMs`. */
export async function until<T>(check: () => Promise<T | undefined>, timeoutMs: number, what: string): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await check();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`${what} took longer than ${timeoutMs / 1000} s`);
    await pause(POLL_MS);
  }
}

/** A port nobody listens on at this moment; the caller must be ready to lose the race for it. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('The system gave no port');
  return address.port;
}

/** Full path of a program, or undefined when PATH does not hold it. */
export async function onPath(name: string, env: Environment): Promise<string | undefined> {
  for (const folder of (env['PATH'] ?? process.env['PATH'] ?? '').split(delimiter).filter(Boolean)) {
    const file = join(folder, name);
    if (await isExecutable(file)) return file;
  }
  return undefined;
}

const isExecutable = (file: string) =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
