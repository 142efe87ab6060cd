import type { Config } from '../config.ts';
import type { Tell } from '../domain/facts.ts';
import { createStrikes } from '../flows/answers/count-strikes.ts';
import { createDrain } from '../flows/answers/drain-answer.ts';
import type { Clock } from '../ports.ts';
import type { Stores } from './store.ts';

/** What becomes of answers whose clients have left. */
export function createMetering(config: Config, { stores, clock, tell }: { stores: Stores; clock: Clock; tell: Tell }) {
  return {
    drain: createDrain({
      upstreams: new Set(config.DRAIN_UPSTREAMS),
      atOnce: config.DRAIN_AT_ONCE,
      longestMs: config.DRAIN_TIMEOUT,
      after: (ms, work) => {
        const timer = setTimeout(work, ms);
        return () => clearTimeout(timer);
      },
    }),
    strikes: createStrikes({
      counts: stores.strikes,
      clock,
      tell,
      limit: config.DISCONNECT_STRIKES,
      windowMs: config.DISCONNECT_STRIKE_WINDOW,
    }),
  };
}
