import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type Platform, startPlatform } from '@tollgate/test-kit';
import { askAtRandom, isSame } from '../proof/same-credits.ts';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform({ chatProxy: { DISCONNECT_STRIKES: '0', UPSTREAM_BREAK_AFTER: '1000' } });
}, 120_000);
afterAll(() => platform.stop());

it('150 random requests: usage event, usage log, ledger and metric carry the same credits', async () => {
  const seed = randomInt(2 ** 31);
  process.stdout.write(`seed ${seed}: repeat with createDraw(${seed})\n`);
  const found = await askAtRandom(platform, { requests: 150, seed, atOnce: 25 });
  expect({ seed, ...found, isSame: isSame(found) }).toMatchObject({ requests: 150, differences: [], isSame: true });
  expect([found.holds > 100, found.told > 50, found.credits.ledger > 0]).toEqual([true, true, true]);
  expect(await platform.books.sumOfAllEntries()).toBe(0);
}, 60_000);
