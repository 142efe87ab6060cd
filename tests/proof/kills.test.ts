import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Fault } from './kills/judge.ts';
import { drawCycleAt, drawCycles } from './kills/plan.ts';
import { runCycle } from './kills/run-cycle.ts';
import { PLACES, STEPS, type Victim, VICTIMS } from './kills/steps.ts';
import { verify } from './kills/verify.ts';
import { type KillWorld, startKillWorld } from './kills/world.ts';

// A few cycles of what `pnpm prove kills` plays by the hundred; times are judged there, on a quiet machine.
const SEED = 7;
const TIMEOUT_MS = 240_000;
/** On a machine that is very slow an answer may give up before it comes to its place: then it is asked again. */
const MOST_ROUNDS = 5;
let world: KillWorld;
beforeAll(async () => {
  world = await startKillWorld();
}, TIMEOUT_MS);
afterAll(() => world.stop(), TIMEOUT_MS);

async function killAtAllPlaces(victim: Victim) {
  const faults: Fault[] = [];
  let missing = PLACES;
  for (let round = 0; round < MOST_ROUNDS && missing.length > 0; round += 1) {
    const seed = SEED + VICTIMS.indexOf(victim) + round * VICTIMS.length;
    const { answers, faults: found } = await runCycle(world, drawCycleAt(missing, { victim, seed }));
    faults.push(...found);
    missing = answers.filter(({ hasReached }) => !hasReached).map(({ asked }) => asked.place);
  }
  return { faults, missing };
}

describe('with an answer at every step of the fault catalogue', () => {
  it.each([
    ['chat-proxy', 'P'],
    ['accounting', 'A'],
    ['PostgreSQL', 'D'],
    ['the Mongo server', 'M'],
  ] as const)(
    '%s is killed, and every hold has one end and the right charge',
    async (_, victim) => {
      expect(await killAtAllPlaces(victim)).toEqual({ faults: [], missing: [] });
    },
    TIMEOUT_MS,
  );
});

it(
  'chat-proxy dies at the moment when an answer is whole, and the price that was told is charged',
  async () => {
    const place = { name: 's6', step: 's6', of: 'P' } as const;
    const { answers, ...drawn } = drawCycleAt([place], { victim: 'P', seed: SEED });
    const answer = { ...answers[0], tokens: 30, upstream: 'openai' } as const;
    const report = await runCycle(world, { ...drawn, isSudden: true, answers: [answer] });
    expect(report.faults).toEqual([]);
    expect(report.answers[0]?.after?.holds).toMatchObject([{ charged: 30 }]);
  },
  TIMEOUT_MS,
);

it(
  'all books are right when everything is over',
  async () => {
    expect(await verify(world)).toEqual([]);
  },
  TIMEOUT_MS,
);

it('the same seed draws the same cycles, each victim at each step equally often', () => {
  const [one, other] = [drawCycles({ seed: SEED, count: 80 }), drawCycles({ seed: SEED, count: 80 })];
  expect(JSON.stringify(one)).toBe(JSON.stringify(other));
  const played = Map.groupBy(one, ({ victim, answers }) => `${victim} ${answers[0].place.step}`);
  expect([played.size, ...new Set([...played.values()].map((some) => some.length))]).toEqual([
    VICTIMS.length * STEPS.length,
    2,
  ]);
});
