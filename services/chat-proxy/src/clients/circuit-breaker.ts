import type { Clock } from '../ports.ts';

export interface CircuitBreakerOptions {
  readonly clock: Clock;
  /** Failures in a row that open the circuit. */
  readonly failures: number;
  /** Milliseconds until one call may try again. */
  readonly pauseMs: number;
  /** Whether an error means that the neighbour is away, or that it has answered; or nothing, as when its caller has left. */
  readonly judge: (error: unknown) => 'away' | 'answered' | 'unknown';
  /** Told each time the circuit opens. */
  readonly opened?: () => void;
  /** What callers get at once while the circuit is open. */
  readonly refusal: (waitMs: number) => Error;
}

export interface CircuitBreaker {
  /** Does the work, unless the circuit is open. */
  run<T>(work: () => Promise<T>): Promise<T>;
  /** A failure of what had begun well. */
  noteLateFailure(error: unknown): void;
  /** Milliseconds until a call would be let through; 0 when it would be now. */
  waitMs(): number;
  readonly state: 'closed' | 'half-open' | 'open';
}

/**
 * Spares callers the wait for a neighbour that does not answer: after some failures in a row calls are refused at once, until a
 * single probe has gone through. (M. Nygard, Release It!, "Circuit Breaker")
 */
export function createCircuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  const { clock, failures, pauseMs, judge, refusal, opened } = options;
  let failedInARow = 0;
  let closedAgainAt = 0;
  let isProbing = false;

  function noteFailure(isProbe: boolean): void {
    failedInARow += 1;
    // Calls that began before the circuit opened come back late, and must not keep it open.
    if (!isProbe && failedInARow !== failures) return;
    closedAgainAt = clock.now() + pauseMs;
    opened?.();
  }

  const isOpen = () => failedInARow >= failures;
  /** Never more than a pause, also when the clock has been put back since. */
  function pauseLeft(): number {
    const now = clock.now();
    closedAgainAt = Math.min(closedAgainAt, now + pauseMs);
    return Math.max(0, closedAgainAt - now);
  }

  return {
    async run(work) {
      const isProbe = isOpen();
      if (isProbe && (isProbing || pauseLeft() > 0)) throw refusal(pauseLeft());
      if (isProbe) isProbing = true;
      try {
        const result = await work();
        failedInARow = 0;
        return result;
      } catch (error) {
        const verdict = judge(error);
        if (verdict === 'away') noteFailure(isProbe);
        else if (verdict === 'answered') failedInARow = 0;
        throw error;
      } finally {
        if (isProbe) isProbing = false;
      }
    },
    noteLateFailure: (error) => {
      if (judge(error) === 'away') noteFailure(false);
    },
    waitMs: () => {
      if (!isOpen()) return 0;
      return isProbing ? Math.max(1, pauseLeft()) : pauseLeft();
    },
    get state() {
      if (!isOpen()) return 'closed';
      return pauseLeft() > 0 ? 'open' : 'half-open';
    },
  };
}
