import { isDeepStrictEqual } from 'node:util';
import { COMBINED_10_KB, NAUGHTY_STRINGS, type Platform } from '@tollgate/test-kit';
import type { Found } from '../operations.ts';
import { type Kept, keepersOf } from './keepers.ts';

const HALF_OF_A_PAIR = /\p{Surrogate}/u;

/** Gives texts to every place that keeps words: what is taken comes back letter by letter, the rest is refused. */
export async function keepTexts(
  platform: Platform,
  every: number,
  from = 0,
): Promise<{ kept: number; refused: number; found: Found[] }> {
  const result = { kept: 0, refused: 0, found: [] as Found[] };
  const texts = [...NAUGHTY_STRINGS.filter((_, at) => at % every === from % every), COMBINED_10_KB];
  for (const keeper of await keepersOf(platform)) {
    for (const text of texts) {
      const kept = await keeper.keep(text);
      if (kept.status < 400) result.kept += 1;
      else result.refused += 1;
      const what = faultOf(text, kept);
      if (what)
        result.found.push({ operation: keeper.name, what, example: JSON.stringify({ text, kept }).slice(0, 500) });
    }
  }
  return result;
}

function faultOf(text: string, { status, text: came, expected }: Kept): string | undefined {
  if (status >= 500) return `answered ${status}`;
  if (status >= 400) return undefined;
  if (!isDeepStrictEqual(came, expected)) return 'came back as something else';
  return came !== undefined && HALF_OF_A_PAIR.test(text) ? 'half a character was taken' : undefined;
}
