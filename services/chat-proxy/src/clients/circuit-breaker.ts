import type { Clock } from '../ports.ts';

export interface CircuitBreakerOptions {
  readonly clock: Clock;
  /** Failures in a row that open the circuit. */
  readonly failures: number;
  /** Milliseconds until one call may try again. */
  readonly pauseMs: number;
  /** Whether an error means that the neighbour is away, and not that it refused. */
  readonly isFailure: (error: unknown) => boolean;
  /** What callers get at once while the circuit is open. */
  readonly refusal: (waitMs: number) => Error;
}

export type CircuitBreaker = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * Spares callers the wait for a neighbour that does not answer: after some failures in a row calls are refused at once, until a
 * single probe has gone through. (M. Nygard, Release It!, "Circuit Breaker")
 */
export function createCircuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  const { clock, failures, pauseMs, isFailure, refusal } = options;
  let failedInARow = 0;
  let closedAgainAt = 0;
  let isProbing = false;

  function noteFailure(isProbe: boolean): void {
    failedInARow += 1;
    // Calls that began before the circuit opened come back late, and must not keep it open.
    if (isProbe || failedInARow === failures) closedAgainAt = clock.now() + pauseMs;
  }

  return async (work) => {
    const isProbe = failedInARow >= failures;
    const waitMs = closedAgainAt - clock.now();
    if (isProbe && (isProbing || waitMs > 0)) throw refusal(Math.max(0, waitMs));
    if (isProbe) isProbing = true;
    try {
      const result = await work();
      failedInARow = 0;
      return result;
    } catch (error) {
      if (isFailure(error)) noteFailure(isProbe);
      else failedInARow = 0;
      throw error;
    } finally {
      if (isProbe) isProbing = false;
    }
  };
}
