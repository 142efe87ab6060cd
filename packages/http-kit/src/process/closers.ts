import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../server/service-options.ts';

type Close = () => unknown;

/** Resources in the order they were opened; they close in reverse, each with a share of the deadline. */
export interface Closers {
  add<T extends { close(): unknown }>(name: string, resource: T): T;
  addClose(name: string, close: Close): void;
  /** Never throws: a resource that fails or hangs is reported and passed over. */
  closeAll(deadlineMs?: number): Promise<void>;
}

const LEAST_MS = 100;

export function createClosers(logger?: Logger): Closers {
  const open: { name: string; close: Close }[] = [];
  return {
    add(name, resource) {
      open.push({ name, close: () => resource.close() });
      return resource;
    },
    addClose(name, close) {
      open.push({ name, close });
    },
    async closeAll(deadlineMs = 10_000) {
      const end = performance.now() + deadlineMs;
      for (const { name, close } of open.splice(0).reverse()) {
        // Half of what is left: what hangs must not take the time of those that write their last words.
        const shareMs = Math.max(LEAST_MS, (end - performance.now()) / 2);
        await within(shareMs, close).catch((error: unknown) =>
          logger?.warn('resource did not close cleanly', { resource: name, error }),
        );
      }
    },
  };
}

/** @throws Error when the work has not ended by then; it goes on unheard. */
async function within(timeoutMs: number, work: Close): Promise<void> {
  const done = new AbortController();
  const late = async (): Promise<never> => {
    await pause(timeoutMs, undefined, { signal: done.signal });
    throw new Error(`not closed after ${Math.round(timeoutMs)} ms`);
  };
  const overdue = late();
  overdue.catch(() => undefined);
  try {
    await Promise.race([Promise.resolve().then(work), overdue]);
  } finally {
    done.abort();
  }
}
