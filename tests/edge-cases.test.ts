import { globSync, readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';

/** The edge cases of the credit design. */
const CASES = 60;
const FOLDERS = ['packages/*/tests/**/*.test.ts', 'services/*/tests/**/*.test.ts', 'tests/**/*.test.ts'];
/** The word, a number and a colon inside quotes; the label of a switch is in none. */
const NAMED = /(['"`])(?:(?!\1)[^\\\n]|\\.)*?\bcase (\d+):/g;

/** Where each number stands in the name of a test. */
function placesOfCases(): Map<number, string[]> {
  const places = new Map<number, string[]>();
  for (const file of globSync(FOLDERS)
    .filter((path) => !path.includes('node_modules'))
    .toSorted()) {
    for (const [, , number] of readFileSync(file, 'utf8').matchAll(NAMED)) {
      places.set(Number(number), [...(places.get(Number(number)) ?? []), file]);
    }
  }
  return places;
}

it('each of the 60 edge cases of the credit design is one test with its number in its name', () => {
  const places = placesOfCases();
  const numbers = Array.from({ length: CASES }, (_, at) => at + 1);
  expect({
    missing: numbers.filter((number) => !places.has(number)),
    doubled: Object.fromEntries([...places].filter(([, files]) => files.length > 1)),
    unknown: [...places.keys()].filter((number) => !numbers.includes(number)),
  }).toEqual({ missing: [], doubled: {}, unknown: [] });
});
