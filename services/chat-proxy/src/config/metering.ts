import { durationMs, list, whole } from '@tollgate/config';
import { z } from 'zod';

/** What is charged where an upstream does not say it, and for answers nobody reads to their end. */
export const meteringVariables = {
  ABSENT_USAGE: z
    .enum(['estimate', 'hold', 'free', 'fail'])
    .default('estimate')
    .describe(
      'When an upstream that should report usage ends its answer without: charge our estimate, all that is reserved (hold), nothing (free), or end the answer as failed',
    ),
  JOURNAL_COMPARE_INTERVAL: durationMs({ min: '50ms', max: '1h' })
    .prefault('1m')
    .describe('How often the journal of open holds is compared with accounting'),
  DRAIN_UPSTREAMS: list(z.string().max(64))
    .default([])
    .describe('Upstreams that bill on after a client has left: their answers are read to the end, for the exact usage'),
  DRAIN_AT_ONCE: whole({ max: 50 }).default(50).describe('How many answers are read on like this at the same time'),
  DRAIN_TIMEOUT: durationMs({ min: '10ms', max: '30s' }).prefault('30s').describe('For how long at most'),
  DISCONNECT_STRIKES: whole({ max: 10_000 })
    .default(30)
    .describe('How often a user may leave before the first token, which costs nothing, within the window; 0: no limit'),
  DISCONNECT_STRIKE_WINDOW: durationMs({ min: '1s', max: '24h' }).prefault('10m').describe('The window'),
};
