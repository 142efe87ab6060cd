import { durationMs } from '@tollgate/config';

/** What is done again until it is done: ends of holds, and questions whose process has died. */
export const leftoverVariables = {
  LEFTOVERS_INTERVAL: durationMs({ min: '10ms', max: '60s' })
    .prefault('1s')
    .describe('How often unfinished settlements are looked at'),
  SETTLE_RETRY_FIRST: durationMs({ min: '10ms', max: '60s' })
    .prefault('500ms')
    .describe('Wait before a settlement that failed is repeated; it doubles with each failure'),
  SETTLE_RETRY_LONGEST: durationMs({ min: '10ms', max: '10m' })
    .prefault('30s')
    .describe('Longest such wait; one that accounting refuses is repeated up to every hour'),
  ABANDONED_INTERVAL: durationMs({ min: '50ms', max: '10m' })
    .prefault('15s')
    .describe('How often questions are looked for whose process has died before it had saved an answer'),
};
