import { median } from './statistics.ts';

/** One column after all rounds. */
export interface Measured {
  readonly name: string;
  /** Of each round. */
  readonly perSecond: readonly number[];
  readonly p50: number;
  readonly p99: number;
  readonly firstByteP50: number;
  readonly firstByteP99: number;
  readonly answers: number;
  /** In how many an answer came at whoever asked: fewer than were sent where a reader or a relay was late. */
  readonly pieces: number;
  readonly faults: number;
  /** Processor time of one answer, and resident memory at the end, by part. */
  readonly cpuMicroseconds: ReadonlyMap<string, number>;
  readonly residentBytes: ReadonlyMap<string, number>;
}

/** The median of the ratios of the rounds: what hits a round hits both of its columns. */
export function ratio(of: Measured, to: Measured): number {
  return median(of.perSecond.map((value, round) => value / (to.perSecond[round] ?? Number.NaN)));
}
