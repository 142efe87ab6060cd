import { setTimeout as pause } from 'node:timers/promises';
import { drawCycles } from './plan.ts';
import { type CycleReport, runCycle } from './run-cycle.ts';
import { type KillWorld, SCALE, startKillWorld } from './world.ts';

export interface KillOptions {
  readonly seed: number;
  readonly cycles: number;
  /** Installations side by side: most of a cycle is waiting. */
  readonly worlds: number;
  readonly told: (report: CycleReport) => void;
}

const PEOPLE = 6;
const LOG_IN_AGAIN_MS = 300_000;

/** Plays the cycles of a seed, shared out among installations. */
export async function playKills({ seed, cycles, worlds, told }: KillOptions): Promise<CycleReport[]> {
  const drawn = drawCycles({ seed, count: cycles, people: PEOPLE });
  const reports: CycleReport[] = [];
  await Promise.all(
    Array.from({ length: worlds }, async (_, at) => {
      const world = await startKillWorld({ people: PEOPLE });
      try {
        const logIns = keepLoggedIn(world);
        for (const cycle of drawn.filter(({ id }) => id % worlds === at)) {
          await logIns();
          const report = await runCycle(world, cycle);
          reports.push(report);
          told(report);
        }
        await pause(60_000 / SCALE);
      } finally {
        await world.stop();
      }
    }),
  );
  return reports.toSorted((one, other) => one.cycle.id - other.cycle.id);
}

function keepLoggedIn({ people }: KillWorld): () => Promise<void> {
  let at = performance.now();
  return async () => {
    if (performance.now() - at < LOG_IN_AGAIN_MS) return;
    at = performance.now();
    for (const person of people) await person.logIn();
  };
}
