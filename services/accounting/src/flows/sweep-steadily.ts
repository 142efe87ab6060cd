import type { Ports } from '../ports.ts';

export type SweepPace = Readonly<{
  /** From one round to the next. */
  intervalMs: number;
  /** Wait after the database first answered. */
  startDelayMs: number;
  leaseMs: number;
}>;

type Deps = Readonly<{ chores: Pick<Ports['chores'], 'now'>; sweepHolds: (until: Date) => Promise<boolean> }>;

/** A round may be late by so much without meaning that anything was away. */
const LATE_MS = 5000;

/**
 * Sweeps only while everything runs steadily. After a round that failed, or a gap between rounds, owners may have been unable to
 * renew just as this service was unable to sweep, so they get one lease first. The gap is measured on the clock that leases end
 * by, which also notices a jump of it.
 */
export const createSweepSteadily = ({ chores, sweepHolds }: Deps, pace: SweepPace) => {
  let lastSteady: number | undefined;
  let resumeAt = 0;
  let isInterrupted = false;

  function noteGap(at: number): void {
    if (lastSteady === undefined) resumeAt = at + pace.startDelayMs;
    else if (isInterrupted || at - lastSteady > pace.intervalMs + LATE_MS) resumeAt = at + pace.leaseMs;
    isInterrupted = false;
    lastSteady = at;
  }

  return async function sweepSteadily(): Promise<boolean> {
    try {
      const began = await chores.now();
      const at = began.getTime();
      noteGap(at);
      if (at < resumeAt) return false;
      // What the clock jumps over during this round is left to the next one, which sees the gap.
      const hasMore = await sweepHolds(began);
      const after = (await chores.now()).getTime();
      // Closing many holds takes its time and is no gap, unless it is as long as a lease.
      if (after - at < pace.leaseMs) lastSteady = after;
      return hasMore;
    } catch (error) {
      // Single holds that could not be closed say nothing about the others.
      isInterrupted = !(error instanceof AggregateError);
      throw error;
    }
  };
};
