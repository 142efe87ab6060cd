import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type Platform, startPlatform } from '@tollgate/test-kit';
import { fuzzOperations } from './operations.ts';
import { fuzzFrames } from './raw/frames.ts';
import { fuzzRaw } from './raw/fuzz-raw.ts';
import { allDoors } from './requests/doors.ts';
import { fuzzSettings } from './settings.ts';
import { closeConnections } from './stage/send.ts';
import { judgeJsonTexts } from './texts/json-verdicts.ts';
import { keepTexts } from './texts/keep-texts.ts';

const { seed, runs } = fuzzSettings(4);

/** Of so many naughty texts one is tried here; `pnpm fuzz` tries all. */
const EVERY = 12;
const RAW_RUNS = 40;

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 120_000);
afterAll(async () => {
  closeConnections();
  await platform.stop();
});

// Before administrators change what is kept of conversations.
it('whatever people write is kept letter by letter or refused', async () => {
  expect((await keepTexts(platform, EVERY, seed)).found).toEqual([]);
}, 120_000);

it(`every operation answers whatever it is sent in its own words and stores nothing of what it refuses (FUZZ_SEED=${seed})`, async () => {
  const { found, firstTries } = await fuzzOperations(platform, allDoors(), {
    seed,
    broken: runs,
    valid: 2,
    doorsAtOnce: 30,
  });
  expect(found).toEqual([]);
  // Most refusals stand alone when they are judged, or that they change nothing has not been seen.
  expect(firstTries.judged).toBeGreaterThan(firstTries.beside);
}, 300_000);

it('all three services take the same texts for JSON', async () => {
  expect(await judgeJsonTexts(platform)).toEqual([]);
}, 120_000);

it('bytes that are no good HTTP end in a refusal, and nobody gets an answer that is not theirs', async () => {
  expect((await fuzzRaw(platform, { seed, runs: RAW_RUNS })).found).toEqual([]);
}, 120_000);

it('whatever comes over a socket, the service lives on', async () => {
  expect((await fuzzFrames(platform, [])).found).toEqual([]);
}, 120_000);
