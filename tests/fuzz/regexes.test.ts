import { expect, it } from '@jest/globals';
import { expressionsIn, slowAmong } from './regexes.ts';

it('no expression that stands in the contracts is slow on any text, however long', async () => {
  const expressions = await expressionsIn('packages/contracts/src');
  expect(expressions.size).toBeGreaterThan(20);
  expect(slowAmong(expressions)).toEqual([]);
}, 300_000);

it('finds an expression that is', () => {
  const slow = new Map([
    [String.raw`/^(\w+\s?)*$/`, 'here'],
    [String.raw`/\s+$/`, 'here'],
  ]);
  expect(slowAmong(slow).map(({ pattern }) => pattern)).toEqual([...slow.keys()]);
});
