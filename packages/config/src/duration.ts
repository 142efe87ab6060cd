const MILLISECONDS = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
} as const;

type Unit = keyof typeof MILLISECONDS;

const DURATION = /^(\d{1,9})(ms|s|m|h|d|w)?$/;

/**
 * Milliseconds of a duration such as `500ms`, `30s`, `15m`, `12h`, `7d` or `2w`. A number without a unit is seconds.
 * The one parser of the platform: `m` is minutes and `h` is hours wherever a duration is written.
 * @throws RangeError for anything else; nothing is guessed.
 */
export function parseDuration(text: string): number {
  const [, amount, unit = 's'] = DURATION.exec(text) ?? [];
  if (amount === undefined) throw new RangeError('a duration is a whole number and ms, s, m, h, d or w, such as 15m');
  return Number(amount) * MILLISECONDS[unit as Unit]; // the pattern lets no other unit through
}
