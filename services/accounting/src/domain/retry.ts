type Pace = Readonly<{ firstRetrySeconds: number; longestRetrySeconds: number; giveUpSeconds: number }>;
type Try = Readonly<{ attempts: number; ageSeconds: number; afterSeconds?: number | undefined }>;

/** Beyond this the power of two is larger than any pause. */
const MOST_DOUBLINGS = 30;

/**
 * Seconds until the next try, or undefined when it would come too late. Pauses double up to the longest one; `random` (0 to 1)
 * spreads each over its second half, so that receivers that were away are not met by everything at once. A receiver may ask
 * for more time, but not for more than the longest pause.
 */
export function nextTry(
  { attempts, ageSeconds, afterSeconds = 0 }: Try,
  pace: Pace,
  random: number,
): number | undefined {
  const full = Math.min(pace.firstRetrySeconds * 2 ** Math.min(attempts - 1, MOST_DOUBLINGS), pace.longestRetrySeconds);
  const pause = Math.max((full * (1 + random)) / 2, Math.min(afterSeconds, pace.longestRetrySeconds));
  return ageSeconds + pause > pace.giveUpSeconds ? undefined : pause;
}
