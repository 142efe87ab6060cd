import { createRounds, type Rounds } from '@tollgate/http-kit';
import type { createHeartbeats, Logger } from '@tollgate/telemetry';
import type { Config } from './config.ts';
import type { Flows } from './flows.ts';
import { createSweepSteadily } from './flows/sweep-steadily.ts';
import { outboxRounds } from './outbox-deps.ts';
import type { Ports } from './ports.ts';

type Scheduled = { flows: Flows; ports: Ports; logger: Logger; beat: ReturnType<typeof createHeartbeats> };

const KEEPING_INTERVAL_MS = 3_600_000;
const ROLL_UP_INTERVAL_MS = 600_000;
const MEASURE_INTERVAL_MS = 10_000;

/** What goes on beside the requests, each under the name by which its pulse is watched. */
export function scheduledRounds(config: Config, { flows, ports, logger, beat }: Scheduled): Rounds[] {
  const { sweep, ledger } = config;
  const { chores, channels } = ports;
  // Nothing that a round books is needed for a right answer.
  const failed = (error: unknown) => logger.warn('a scheduled round failed and will be tried again', { error });
  const every = (task: string, everyMs: number, turn: () => Promise<unknown>, delayMs = 0) =>
    createRounds(turn, { everyMs, delayMs, failed, finished: beat(task, everyMs) });
  return [
    every('sweep', sweep.intervalMs, createSweepSteadily({ chores, sweepHolds: flows.sweepHolds }, sweep)),
    every('expire-credits', sweep.intervalMs, flows.expireCredits),
    every('measure-holds', MEASURE_INTERVAL_MS, flows.measureHolds),
    every('forget-answers', KEEPING_INTERVAL_MS, flows.forgetAnswers, sweep.intervalMs),
    every('forget-counters', KEEPING_INTERVAL_MS, flows.forgetCounters, sweep.intervalMs),
    ...outboxRounds(config, { flows, channels, failed, beat }),
    every('take-head', ledger.headMs, () => flows.takeHead({ youngestMs: ledger.headMs / 2 })),
    every(
      'reconcile',
      ledger.reconcileMs,
      () => flows.reconcile({ youngestMs: ledger.reconcileMs / 2, fullEveryMs: ledger.reconcileFullMs }),
      ledger.reconcileMs / 2,
    ),
    every('roll-up-usage', ROLL_UP_INTERVAL_MS, flows.rollUpUsage, sweep.intervalMs),
  ];
}
