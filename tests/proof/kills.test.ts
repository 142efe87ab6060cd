import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { drawCycles, drawFullCycle } from './kills/plan.ts';
import { type CycleReport, runCycle } from './kills/run-cycle.ts';
import { STEPS, VICTIMS } from './kills/steps.ts';
import { verify } from './kills/verify.ts';
import { type KillWorld, startKillWorld } from './kills/world.ts';

// A few cycles of what `pnpm prove kills` plays by the hundred; times are judged there, on a quiet machine.
const SEED = 7;
const TIMEOUT_MS = 180_000;
let world: KillWorld;
beforeAll(async () => {
  world = await startKillWorld();
}, TIMEOUT_MS);
afterAll(() => world.stop(), TIMEOUT_MS);

const wrongIn = ({ faults, answers }: CycleReport) => ({
  faults,
  elsewhere: answers.filter(({ hasReached }) => !hasReached).map(({ asked }) => asked.place.name),
});
const NOTHING = { faults: [], elsewhere: [] };

describe('with an answer at every step of the fault catalogue', () => {
  it.each([
    ['chat-proxy', 'P'],
    ['accounting', 'A'],
    ['PostgreSQL', 'D'],
    ['the Mongo server', 'M'],
  ] as const)(
    '%s is killed, and every hold has one end and the right charge',
    async (_, victim) => {
      const cycle = drawFullCycle({ id: 0, victim, seed: SEED + VICTIMS.indexOf(victim) });
      expect(wrongIn(await runCycle(world, cycle))).toEqual(NOTHING);
    },
    TIMEOUT_MS,
  );
});

it(
  'chat-proxy dies at the moment when an answer is whole, and the price that was told is charged',
  async () => {
    const [drawn] = drawCycles({ seed: SEED, count: 1 });
    const place = { name: 's6', step: 's6', of: 'P' } as const;
    if (!drawn) throw new RangeError('no cycle was drawn');
    const answer = { ...drawn.answers[0], place, hasKey: true, tokens: 30, upstream: 'openai' } as const;
    const cycle = { ...drawn, victim: 'P', isSudden: true, answers: [answer] } as const;
    const report = await runCycle(world, cycle);
    expect(wrongIn(report)).toEqual(NOTHING);
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
