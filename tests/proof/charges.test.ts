import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Person, type Platform, startPlatform } from '@tollgate/test-kit';
import { leave, type Leaving, untilIdle } from './disconnects.ts';
import { DOORS } from './doors.ts';
import { ADAPTERS, priceByToken } from './faults.ts';
import { askAtRandom, isSame } from './same-credits.ts';
import { askNatively, runAlone, runAtAllDoors, stopped, TOKENS_BEFORE_A_STOP } from './stops.ts';

let platform: Platform;
const DRAIN_SECONDS = 1;
const CLOSING_SECONDS = 8;
beforeAll(async () => {
  platform = await startPlatform({
    chatProxy: {
      DISCONNECT_STRIKES: '0',
      UPSTREAM_BREAK_AFTER: '1000',
      UPSTREAM_IDLE_TIMEOUT: '10s',
      SHUTDOWN_ACCEPT: '0s',
      SHUTDOWN_DRAIN: `${DRAIN_SECONDS}s`,
    },
  });
  await priceByToken(platform);
}, 120_000);
afterAll(() => platform.stop());

const TOKENS = 8;
const STOPPED_WITHIN_MS = 1000;
const streamed = DOORS.filter(({ isStreamed }) => isStreamed);

/** The upstream stops where the client leaves, so that both count the same tokens. */
const afterEach = Array.from(
  { length: TOKENS + 1 },
  (_, tokens): Leaving => ({
    when: `after ${tokens} of ${TOKENS} tokens`,
    scenario: { tokens: TOKENS, hangAfter: tokens },
    afterTokens: tokens,
  }),
);
const MOMENTS: readonly Leaving[] = [
  ...afterEach,
  { when: 'after the last token, before the end', scenario: { tokens: 5, endDelayMs: 60_000 }, afterTokens: 5 },
  { when: 'while it fails', scenario: { tokens: 5, errorEvent: { after: 3 }, tokenDelayMs: 1 }, afterTokens: 3 },
  { when: 'while bytes come in pieces', scenario: { tokens: 9, sliceBytes: 11, hangAfter: 6 }, afterTokens: 6 },
];

describe.each(ADAPTERS)('a client that leaves an answer of %s', (adapter) => {
  it.each(streamed)(
    'pays for what the upstream counted as produced, at each moment, and the upstream is told within a second ($name)',
    async (door) => {
      const person = await platform.user({ credits: 100_000 });
      const balance = await person.balance();
      let paid = 0;
      for (const leaving of MOMENTS.filter(({ when }) => when !== 'while it fails' || adapter === 'openai')) {
        const left = await leave(platform, person, { leaving, adapter, door });
        paid += left.charged;
        expect({ ...left, charged: left.produced, hold: left.produced === 0 ? 'voided' : 'settled' }).toEqual(left);
        expect(left.produced).toBe(leaving.afterTokens);
        expect(left.stoppedMs).toBeLessThan(STOPPED_WITHIN_MS);
      }
      expect(await person.balance()).toBe(balance - paid);
      await untilIdle(platform);
      expect(await platform.books.ofUser(person.userId)).toMatchObject({ held: 0, openHolds: 0, charged: paid });
    },
  );
});

it.each(streamed.filter(({ tellsNodes }) => tellsNodes))(
  'a client that leaves an agent flow that calls a tool at an event of its nodes has it stopped within a second, and pays at most what was produced ($name)',
  async (door) => {
    const person = await platform.user({ credits: 100_000 });
    const scenario = { toolCall: { name: 'calculator', arguments: { sum: '1 + 2 + 3' } }, tokens: 6, hangAfter: 2 };
    const leaving = { when: 'at an event of its nodes', scenario, afterTokens: 1, leaveAt: 'nextAgentFlow' };
    const left = await leave(platform, person, { leaving, adapter: 'flowise', door });
    expect(left.stoppedMs).toBeLessThan(STOPPED_WITHIN_MS);
    // Flowise tells what a tool's call has cost only at the end: nobody pays for what nobody knows.
    expect(left.charged).toBeLessThanOrEqual(left.produced);
    await untilIdle(platform);
    expect(await platform.books.ofUser(person.userId)).toMatchObject({ held: 0, openHolds: 0, terminalHolds: 1 });
  },
);

it('150 random requests: usage event, usage log, ledger and metric carry the same credits', async () => {
  const seed = randomInt(2 ** 31);
  process.stdout.write(`seed ${seed}: pnpm prove credits --requests 150 --seed ${seed} --at-once 25\n`);
  const found = await askAtRandom(platform, { requests: 150, seed, atOnce: 25 });
  expect({ seed, ...found, isSame: isSame(found) }).toMatchObject({ requests: 150, differences: [], isSame: true });
  expect([found.holds > 100, found.told > 50, found.credits.ledger > 0]).toEqual([true, true, true]);
  expect(await platform.books.sumOfAllEntries()).toBe(0);
});

const settledEach = (people: readonly Person[]) =>
  people.map(() => ({ openHolds: 0, charged: TOKENS_BEFORE_A_STOP, held: 0 }));

describe('a proxy that is told to stop has settled every answer before it goes:', () => {
  it('at every door, with a word to the client', async () => {
    const { people, heard } = await runAtAllDoors(platform);
    const { code, seconds, books } = await stopped(platform, people);
    expect([code, books]).toEqual([0, settledEach(people)]);
    expect(seconds).toBeLessThan(DRAIN_SECONDS + CLOSING_SECONDS);
    const answers = await Promise.all(heard);
    expect(answers.map((one) => [one.code, one.isWhole])).toEqual(streamed.map(() => ['server_shutdown', false]));
  });

  it('of clients that have gone and mean to come back, and a key then has what was paid for', async () => {
    const key = { 'idempotency-key': 'after the stop' };
    const people = await Promise.all([runAlone(platform, { 'x-keep-running': '30' }), runAlone(platform, key)]);
    const { code, books } = await stopped(platform, people);
    expect([code, books]).toEqual([0, settledEach(people)]);
    const again = await askNatively(people[1] as Person, { platform, headers: key });
    const text = await again.text();
    expect([again.status, text.split('"token"').length - 1, text.includes('server_shutdown')]).toEqual([
      200,
      TOKENS_BEFORE_A_STOP,
      true,
    ]);
    expect(await platform.books.ofUser((people[1] as Person).userId)).toMatchObject({
      charged: TOKENS_BEFORE_A_STOP,
      terminalHolds: 1,
    });
  });
});
