import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { AUTH_ROWS } from './dependencies/auth-rows.ts';
import { play } from './dependencies/row.ts';
import { setStage, type Stage } from './dependencies/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await setStage();
}, 120_000);
afterAll(() => stage.stop());

it('every fault of a dependency ends as the catalogue says', async () => {
  const played = await play(stage, AUTH_ROWS);
  process.stdout.write(`${JSON.stringify(played, null, 1)}\n`);
  expect(played.filter(({ wrong }) => wrong !== '')).toEqual([]);
}, 300_000);
