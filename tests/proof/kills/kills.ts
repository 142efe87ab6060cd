import { setTimeout as pause } from 'node:timers/promises';
import type { Fault } from './judge.ts';
import { type Cycle, drawCycles } from './plan.ts';
import { type CycleReport, runCycle } from './run-cycle.ts';
import { verify } from './verify.ts';
import { LEASE_SECONDS, startKillWorld } from './world.ts';

export interface KillOptions {
  readonly seed: number;
  readonly cycles: number;
  /** Installations side by side: most of a cycle is waiting. */
  readonly worlds: number;
  /** One of the cycles alone, to look at what went wrong in it. */
  readonly only?: number | undefined;
  readonly told: (report: CycleReport) => void;
}

export interface Played {
  readonly cycles: readonly CycleReport[];
  /** What was wrong in all of the books, when everything was over. */
  readonly faults: readonly Fault[];
  readonly engines: readonly string[];
}

/** Plays the cycles of a seed, shared out among installations. */
export async function playKills({ seed, cycles, worlds, only, told }: KillOptions): Promise<Played> {
  const drawn = drawCycles({ seed, count: cycles }).filter(({ id }) => only === undefined || id === only);
  const shares = Array.from({ length: worlds }, (_, at) => drawn.filter((__, turn) => turn % worlds === at));
  const played = await Promise.all(shares.map((share) => playShare(share, told)));
  return {
    cycles: played.flatMap((one) => one.cycles).toSorted((one, other) => one.cycle.id - other.cycle.id),
    faults: played.flatMap((one) => one.faults),
    engines: [...new Set(played.flatMap((one) => one.engines))],
  };
}

async function playShare(share: readonly Cycle[], told: KillOptions['told']): Promise<Played> {
  const world = await startKillWorld();
  const cycles: CycleReport[] = [];
  const faults: Fault[] = [];
  try {
    for (const cycle of share) {
      try {
        const report = await runCycle(world, cycle);
        cycles.push(report);
        told(report);
      } catch (error) {
        faults.push({ kind: 'unsure', what: `cycle ${cycle.id} could not be played: ${String(error)}` });
      }
    }
    // Nothing may move any more when the last lease is over.
    await pause(LEASE_SECONDS * 1000);
    faults.push(...(await verify(world)));
    return { cycles, faults, engines: [world.fleet.postgres.engine, world.fleet.mongo.engine] };
  } finally {
    await world.stop();
  }
}
