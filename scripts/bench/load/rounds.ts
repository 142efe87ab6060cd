import type { Measured } from '../report/measured.ts';
import { median, quantile } from '../report/statistics.ts';
import { type Part, type Use, usesOf } from '../stage/usage.ts';
import { drive, type Driven, type Open } from './drive.ts';

/** Something that is driven beside others, in turns. */
export interface Column {
  readonly name: string;
  readonly open: Open;
  /** Whose processor time and memory is told. */
  readonly parts: readonly Part[];
}

export interface Pacing {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly connections: number;
}

interface Round {
  readonly driven: Driven;
  readonly before: ReadonlyMap<string, Use>;
  readonly after: ReadonlyMap<string, Use>;
}

/** Drives every column in each round, so that whatever else the machine does meets all of them. */
export async function playRounds(
  columns: readonly Column[],
  { rounds, seconds, warmUpSeconds, connections }: Pacing,
  said: (text: string) => void,
): Promise<Measured[]> {
  for (const { name, open } of columns) {
    const { answers } = await drive({ connections, milliseconds: warmUpSeconds * 1000, open });
    said(`${name}: warm after ${answers} answers`);
  }
  const played = new Map<string, Round[]>(columns.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    // Not always in the same order: no column follows always the same one.
    const turn = round % columns.length;
    for (const { name, open, parts } of [...columns.slice(turn), ...columns.slice(0, turn)]) {
      const before = await usesOf(parts);
      const driven = await drive({ connections, milliseconds: seconds * 1000, open });
      played.get(name)?.push({ driven, before, after: await usesOf(parts) });
      if (driven.firstFault !== undefined) said(`${name}: ${driven.faults} faults, such as ${driven.firstFault}`);
    }
  }
  return columns.map(({ name, parts }) => measuredOf(name, parts, played.get(name) ?? []));
}

function measuredOf(name: string, parts: readonly Part[], rounds: readonly Round[]): Measured {
  const all = (of: (driven: Driven) => readonly number[]) => rounds.flatMap(({ driven }) => of(driven));
  const durations = all((driven) => driven.durations);
  const firstBytes = all((driven) => driven.firstBytes);
  const cpuOf = (part: string) =>
    rounds.map(
      ({ driven, before, after }) =>
        (1000 * ((after.get(part)?.cpuMs ?? 0) - (before.get(part)?.cpuMs ?? 0))) / Math.max(1, driven.answers),
    );
  return {
    name,
    perSecond: rounds.map(({ driven }) => driven.answers / driven.seconds),
    p50: quantile(durations, 0.5),
    p99: quantile(durations, 0.99),
    firstByteP50: quantile(firstBytes, 0.5),
    firstByteP99: quantile(firstBytes, 0.99),
    answers: durations.length,
    pieces: median(rounds.map(({ driven }) => driven.pieces)),
    faults: rounds.reduce((sum, { driven }) => sum + driven.faults, 0),
    cpuMicroseconds: new Map(parts.map((part) => [part.name, median(cpuOf(part.name))])),
    residentBytes: new Map(parts.map((part) => [part.name, rounds.at(-1)?.after.get(part.name)?.residentBytes ?? 0])),
  };
}
