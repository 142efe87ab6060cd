import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@tollgate/test-kit';

/** What programs/probe.ts has seen in a process between the two signals; bytes, and milliseconds. */
export interface Seen {
  readonly delayMs: { readonly p50: number; readonly p99: number; readonly most: number };
  readonly rss: number;
  /** After a collection of garbage, where PROBE_COLLECTS is set. */
  readonly heapUsed: number;
  readonly external: number;
}

/** Looks into a process while something happens. */
export async function watching<T>(
  pid: number,
  happen: () => Promise<T>,
): Promise<{ readonly seen: Seen; readonly result: T }> {
  const file = join(tmpdir(), `tollgate-probe-${pid}.json`);
  await rm(file, { force: true });
  process.kill(pid, 'SIGUSR2');
  try {
    const result = await happen();
    process.kill(pid, 'SIGUSR2');
    const text = await eventually(() => readFile(file, 'utf8').catch(() => undefined), 'the probe of a process');
    return { result, seen: JSON.parse(text) as Seen };
  } finally {
    await rm(file, { force: true });
  }
}
