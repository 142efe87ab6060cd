import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type Platform, startPlatform } from '@tollgate/test-kit';
import { fuzzOperations } from './operations.ts';
import { allDoors } from './requests/doors.ts';
import { fuzzSettings } from './settings.ts';
import { closeConnections } from './stage/send.ts';

const { seed, runs } = fuzzSettings(4);

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 120_000);
afterAll(async () => {
  closeConnections();
  await platform.stop();
});

it(`every operation answers whatever it is sent in its own words and stores nothing of what it refuses (FUZZ_SEED=${seed})`, async () => {
  const { found } = await fuzzOperations(platform, allDoors(), { seed, broken: runs, valid: 2 });
  expect(found).toEqual([]);
}, 300_000);
