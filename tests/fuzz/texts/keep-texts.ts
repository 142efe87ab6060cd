import { isDeepStrictEqual } from 'node:util';
import { COMBINED_10_KB, NAUGHTY_STRINGS, type Platform } from '@tollgate/test-kit';
import type { Found } from '../operations.ts';
import { keepersOf } from './keepers.ts';

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
      const { status, text: came, expected } = await keeper.keep(text);
      const note = (what: string): void =>
        void result.found.push({
          operation: keeper.name,
          what,
          example: JSON.stringify({ text, came, expected }).slice(0, 500),
        });
      if (status >= 500) note(`answered ${status}`);
      else if (status >= 400) result.refused += 1;
      else {
        result.kept += 1;
        if (!isDeepStrictEqual(came, expected)) note('came back as something else');
        else if (came !== undefined && HALF_OF_A_PAIR.test(text)) note('half a character was taken');
      }
    }
  }
  return result;
}
