import { readFileSync } from 'node:fs';

const READ_EVERY_MS = 50;
/** A hundred years; further than any test goes, and well within what a Date can hold. */
const FURTHEST_MS = 3_155_760_000_000;

export interface ServiceClock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

/**
 * The clock a service is built around. A test may name a file with a number of milliseconds that is added to the system's time;
 * whoever writes another number into it steps the clock of the running process. Configuration refuses that in production.
 */
export function createServiceClock(offsetFile: string | undefined): ServiceClock {
  if (offsetFile === undefined) return { now: () => Date.now() };
  let offset = 0;
  let readAt = Number.NEGATIVE_INFINITY;
  return {
    now() {
      // Monotonic, and without a timer that somebody would have to end.
      const at = performance.now();
      if (at - readAt >= READ_EVERY_MS) {
        readAt = at;
        offset = offsetIn(offsetFile) ?? offset;
      }
      return Date.now() + offset;
    },
  };
}

/** Undefined while there is no file, or one that is just being written. */
function offsetIn(file: string): number | undefined {
  try {
    const text = readFileSync(file, 'utf8').trim();
    const offset = /^-?\d{1,13}$/.test(text) ? Number(text) : Number.NaN;
    return Math.abs(offset) <= FURTHEST_MS ? offset : undefined;
  } catch {
    return undefined;
  }
}
