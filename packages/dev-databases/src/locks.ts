import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { birthOf, isRunning } from './processes.ts';

const RETRY_MS = 200;

export type Lock = { release(): Promise<void> };

/**
 * Takes a lock file for this process. A lock whose holder is dead counts as free.
 * @returns the lock, or the process id of the living holder.
 */
export async function takeLock(file: string): Promise<Lock | { heldBy: number }> {
  await mkdir(dirname(file), { recursive: true });
  const mine = `${process.pid} ${await birthOf(process.pid)} ${crypto.randomUUID()}`;
  for (;;) {
    if (await create(file, mine)) return { release: () => release(file, mine) };
    const found = await readFile(file, 'utf8').catch(() => undefined);
    if (found === undefined) continue;
    const [pid, born] = found.split(' ');
    if (await isHolder(Number(pid), born)) return { heldBy: Number(pid) };
    await discard(file, found);
  }
}

/** Runs `act` while holding the lock, after waiting for its present holder. @throws Error after `timeoutMs`. */
export async function withLock<T>(
  file: string,
  wait: { timeoutMs: number; onWait: (pid: number) => void },
  act: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + wait.timeoutMs;
  for (let told = false; ; told = true) {
    const lock = await takeLock(file);
    if ('release' in lock) return act().finally(lock.release);
    if (!told) wait.onWait(lock.heldBy);
    if (performance.now() > deadline) throw new Error(`Process ${lock.heldBy} still holds ${file}`);
    await pause(RETRY_MS);
  }
}

/** A link appears with its content in one step, so nobody reads a lock that is not written yet. */
async function create(file: string, content: string): Promise<boolean> {
  const draft = draftOf(file);
  await writeFile(draft, content, { mode: 0o600 });
  try {
    await link(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function release(file: string, mine: string): Promise<void> {
  const found = await readFile(file, 'utf8').catch(() => undefined);
  if (found === mine) await rm(file, { force: true });
}

/** Process numbers are used again: the same number born at another time is not the holder. */
async function isHolder(pid: number, born: string | undefined): Promise<boolean> {
  return Number.isInteger(pid) && pid > 0 && born === (await birthOf(pid)) && (await isRunning(pid));
}

/** Moves a stale lock aside before removing it: two starters must not remove each other's fresh lock. */
async function discard(file: string, stale: string): Promise<void> {
  const aside = draftOf(file);
  try {
    await rename(file, aside);
  } catch {
    return;
  }
  const moved = await readFile(aside, 'utf8');
  if (moved !== stale) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
}

const draftOf = (file: string) => `${file}.${process.pid}.${crypto.randomUUID()}`;
