import { readFile, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { eventually, type RunningService } from '@tollgate/test-kit';

export interface Percentiles {
  readonly median: number;
  readonly p99: number;
}

/** What diagnostic.ts has seen since it was asked last. */
export interface Seen {
  /** What keeps the event loop alive, by kind. */
  readonly resources: Readonly<Record<string, number>>;
  readonly heapMegabytes: number;
  readonly bufferMegabytes: number;
  readonly delayMs: Percentiles;
  /** Processor time of the event loop itself between two ticks. */
  readonly workMs: Percentiles;
  /** What has come from all servers, and what the system has taken for all clients, since the process began. */
  readonly takenBytes: number;
  readonly handedOnBytes: number;
}

/** The environment with which a process can be watched. */
export const watchedBy = (file: string) => ({
  NODE_OPTIONS: `--import=${fileURLToPath(new URL('diagnostic.ts', import.meta.url))}`,
  DIAGNOSTIC_FILE: file,
});

export async function seen({ pid = 0 }: RunningService, file: string): Promise<Seen> {
  await rm(file, { force: true });
  process.kill(pid, 'SIGUSR2');
  const text = await eventually(() => readFile(file, 'utf8').catch(() => undefined), 'the diagnostic of a process');
  return JSON.parse(text) as Seen;
}

export async function residentMegabytes({ pid }: RunningService): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024);
}

/** The highest of what is measured until it is stopped. */
export function watchMemory(service: RunningService): () => Promise<number> {
  let peak = 0;
  const measure = async (): Promise<void> => {
    peak = Math.max(peak, await residentMegabytes(service));
  };
  const timer = setInterval(() => void measure(), MEASURED_EVERY_MS);
  return async () => {
    clearInterval(timer);
    await measure();
    return peak;
  };
}
const MEASURED_EVERY_MS = 250;

/**
 * Which share of the time from now on something on this machine waits for a processor; undefined where the system does not say.
 */
export async function watchPressure(): Promise<() => Promise<number | undefined>> {
  const began = performance.now();
  const before = await waitedMs();
  return async () => {
    const after = await waitedMs();
    return before === undefined || after === undefined ? undefined : (after - before) / (performance.now() - began);
  };
}

async function waitedMs(): Promise<number | undefined> {
  const text = await readFile('/proc/pressure/cpu', 'utf8').catch(() => '');
  const microseconds = /^some .*total=(\d+)/m.exec(text)?.[1];
  return microseconds === undefined ? undefined : Number(microseconds) / 1000;
}

const ESTABLISHED = '01';

/** Open connections to a port of this machine, by the end that opened them or by the one that took them. */
export async function connectionsTo(port: number, end: 'opener' | 'taker' = 'opener'): Promise<number> {
  const lines = (await readFile('/proc/net/tcp', 'utf8')).split('\n').slice(1);
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return lines.filter((line) => {
    const [, local = '', remote = '', state] = line.trim().split(/\s+/);
    return (end === 'opener' ? remote : local).endsWith(wanted) && state === ESTABLISHED;
  }).length;
}
