import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ELSEWHERE } from './dependencies/elsewhere.ts';
import { playAll } from './dependencies/rows.ts';
import { setStage, type Stage } from './dependencies/stage.ts';

let stage: Stage | undefined;
beforeAll(async () => {
  stage = await setStage();
}, 240_000);
afterAll(() => stage?.stop(), 60_000);

it('every fault of a dependency ends as the catalogue says: status, ledger, and everything is in order afterwards', async () => {
  if (!stage) throw new Error('there is no stage');
  const { platform } = stage;
  const played = await playAll(stage, { isShort: true });
  expect(played.filter(({ wrong }) => wrong !== '')).toEqual([]);
  expect([await platform.books.openHolds(), await platform.books.sumOfAllEntries()]).toEqual([0, 0]);
}, 300_000);

it('every row that is said to be proven elsewhere has its test there', () => {
  const lost = ELSEWHERE.filter(({ file, test }) => !readFileSync(file, 'utf8').includes(test));
  expect(lost).toEqual([]);
});
