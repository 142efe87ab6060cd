import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { playAll } from './dependencies/rows.ts';
import { setStage, type Stage } from './dependencies/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await setStage();
}, 120_000);
afterAll(() => stage.stop());

it('every fault of a dependency ends as the catalogue says: status, ledger, and everything is in order afterwards', async () => {
  const played = await playAll(stage);
  for (const p of played) process.stdout.write(`${p.service} ${p.row} ${p.what}: ${p.seen}\n`);
  expect(played.filter(({ wrong }) => wrong !== '')).toEqual([]);
}, 300_000);
