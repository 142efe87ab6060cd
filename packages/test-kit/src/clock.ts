/** What services are given instead of the system's time, so that a test can move it. */
export type Clock = {
  /** Milliseconds since the Unix epoch. */
  now(): number;
};

export type ManualClock = Clock & {
  /** Moves the clock forward by `ms` (negative values are refused: time does not run backwards by accident). */
  advance(ms: number): void;
  /** Puts the clock to an exact moment, in either direction. */
  set(moment: Moment): void;
};

/** Milliseconds since the Unix epoch, a Date, or anything `Date.parse` understands. */
export type Moment = number | Date | string;

export const systemClock: Clock = { now: () => Date.now() };

/** A clock that stands still until a test moves it. Throws a RangeError on a moment that is no date. */
export function manualClock(start: Moment = '2030-01-01T00:00:00Z'): ManualClock {
  let now = millisecondsOf(start);
  return {
    now: () => now,
    advance(ms) {
      if (!Number.isFinite(ms) || ms < 0) throw new RangeError(`a clock advances by a positive number, not ${ms}`);
      now += ms;
    },
    set(moment) {
      now = millisecondsOf(moment);
    },
  };
}

function millisecondsOf(moment: Moment): number {
  const ms = typeof moment === 'number' ? moment : new Date(moment).getTime();
  if (!Number.isFinite(ms)) throw new RangeError(`not a moment in time: ${String(moment)}`);
  return ms;
}
