import { randomUUID } from 'node:crypto';
import { requestContext } from './request-context.ts';

export interface Rounds {
  /** Begins, once; `delayMs` later the first round. */
  start(): void;
  /** There is something to do now: the next turn does not wait. */
  nudge(): void;
  /** Resolves when the turn under way has ended; no other follows. */
  close(): Promise<void>;
}

export interface RoundOptions {
  /** Milliseconds from the beginning of one round to that of the next; a round that takes longer leaves beats out. */
  readonly everyMs: number;
  /** Milliseconds before the first round; 0 when absent. */
  readonly delayMs?: number;
  /** Milliseconds from a turn that failed to the next; that of the next round when absent. */
  readonly retryMs?: number;
  /** Told when a turn has ended well. Must not throw. */
  readonly finished?: (() => void) | undefined;
  /** Told about a turn that failed; the next round tries again. Must not throw. */
  readonly failed: (error: unknown) => void;
}

/**
 * Does something again and again, never twice at once. A round is one turn, and further ones at once while a turn answers
 * `true`: there is more to do.
 */
export function createRounds(
  turn: () => Promise<unknown>,
  { everyMs, delayMs = 0, retryMs, finished, failed }: RoundOptions,
): Rounds {
  let state: 'new' | 'open' | 'closed' = 'new';
  let timer: NodeJS.Timeout | undefined;
  let underWay: Promise<void> | undefined;
  let isNudged = false;
  let hasFailed = false;

  async function round(): Promise<void> {
    const began = performance.now();
    let hasMore = true;
    while (hasMore && state === 'open') {
      isNudged = false;
      hasMore = (await foundMore()) || isNudged;
    }
    underWay = undefined;
    const msToNext = everyMs - ((performance.now() - began) % everyMs);
    wait(hasFailed && retryMs !== undefined ? Math.min(retryMs, msToNext) : msToNext);
  }

  /** Under an id of its own: the request that has nudged it, or made its timer, has nothing to do with what is done here. */
  const foundMore = (): Promise<boolean> =>
    requestContext.run({ requestId: randomUUID() }, async () => {
      try {
        const hasMore = (await turn()) === true;
        hasFailed = false;
        finished?.();
        return hasMore;
      } catch (error) {
        hasFailed = true;
        failed(error);
        return false;
      }
    });

  function wait(ms: number): void {
    clearTimeout(timer);
    if (state === 'open') timer = setTimeout(begin, ms);
  }

  function begin(): void {
    clearTimeout(timer);
    // Begun a moment later, so that a turn which nudges at once finds the round that it belongs to.
    if (state === 'open') underWay ??= Promise.resolve().then(round);
  }

  return {
    start() {
      if (state !== 'new') return;
      state = 'open';
      wait(delayMs);
    },
    nudge() {
      isNudged = true;
      begin();
    },
    async close() {
      state = 'closed';
      clearTimeout(timer);
      await underWay;
    },
  };
}
