import type { CommonClaims } from './claims.ts';
import { TokenError } from './errors.ts';

/** Where "now" comes from: milliseconds since 1970, as `Date.now` counts. Tests bring their own. */
export type Clock = { now(): number };

export const systemClock: Clock = { now: () => Date.now() };

/** How far two of our machines' clocks may be apart, in seconds. */
export const CLOCK_TOLERANCE_SECONDS = 30;

const MILLISECONDS = 1000;

export const secondsOf = (clock: Clock): number => clock.now() / MILLISECONDS;

/**
 * RFC 7519 §4.1.4-4.1.6 with a tolerance of 30 s for `exp`, `nbf` and an `iat` in the future.
 * @throws TokenError `expired` or `not-yet-valid`.
 */
export function checkTimes(claims: CommonClaims, clock: Clock): void {
  const now = secondsOf(clock);
  // "on or after which the JWT MUST NOT be accepted": at exactly exp + tolerance it is over.
  if (now >= claims.exp + CLOCK_TOLERANCE_SECONDS) throw new TokenError('expired');
  const earliest = Math.max(claims.iat, claims.nbf ?? 0);
  if (now < earliest - CLOCK_TOLERANCE_SECONDS) throw new TokenError('not-yet-valid');
}
