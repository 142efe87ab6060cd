import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import { readVariables } from '../scripts/environment/variables.ts';
import { constants } from '../scripts/limits/constants.ts';
import { boundsOf, limitsPage, staleNames } from '../scripts/limits/page.ts';

it('has a page of limits that says what the schemas and the code say', async () => {
  const variables = await readVariables();
  expect(readFileSync('docs/limits.md', 'utf8')).toBe(limitsPage(variables, constants()));
  expect(staleNames(variables)).toEqual([]);
});

it('lets no number or duration of the configuration grow without end', async () => {
  const endless = boundsOf(await readVariables()).filter(
    ({ range }) => range !== undefined && range.most === undefined,
  );
  expect(endless.map(({ row }) => row.name)).toEqual([]);
});

it('finds the bounds that are written in the code, with the reason that stands above them', () => {
  const found = constants();
  expect(found).toContainEqual({
    file: 'services/auth/src/clients/password-pool.ts',
    name: 'LONGEST_QUEUE',
    value: '256',
    text: 'Beyond this many waiting, an answer would come too late to matter.',
  });
  expect(found).toContainEqual(
    expect.objectContaining({ name: 'BATCHES', value: expect.stringContaining('mostWaiting 10_000') }),
  );
  expect(found.length).toBeGreaterThan(300);
});
