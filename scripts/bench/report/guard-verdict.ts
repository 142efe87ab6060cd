/** A ratio that must not fall, with a floor so low that only a change of the code gets below it. */
export interface Guarded {
  readonly name: string;
  readonly ratio: number;
  readonly least: number;
  /** Answers of what is compared with, over all rounds. */
  readonly compared: number;
  readonly faults: number;
}

export type GuardVerdict = 'passed' | 'failed' | 'not judged';

/** Below this a machine was too busy for any ratio to say something. */
const FEWEST_ANSWERS = 100;

export function verdictOf({ ratio, least, compared, faults }: Guarded): GuardVerdict {
  if (compared < FEWEST_ANSWERS) return 'not judged';
  return faults === 0 && ratio >= least ? 'passed' : 'failed';
}

/** Of two tries the better one counts, for each ratio by itself. */
export function bestOf(first: readonly Guarded[], second: readonly Guarded[]): Guarded[] {
  return first.map((one) => {
    const other = second.find(({ name }) => name === one.name);
    if (!other || verdictOf(one) === 'passed') return one;
    return verdictOf(other) === 'failed' && verdictOf(one) === 'not judged' ? one : other;
  });
}

export const needsAnotherTry = (all: readonly Guarded[]): boolean => all.some((one) => verdictOf(one) === 'failed');

/** As the tests count; what cannot be judged is neither. */
export function countOf(all: readonly Guarded[]): { readonly passed: number; readonly failed: number } {
  const verdicts = all.map(verdictOf);
  return {
    passed: verdicts.filter((verdict) => verdict === 'passed').length,
    failed: verdicts.filter((verdict) => verdict === 'failed').length,
  };
}

export function lineOf(one: Guarded): string {
  const { name, ratio, least, compared, faults } = one;
  const why = faults > 0 ? `, ${faults} faults` : '';
  return `${verdictOf(one).padEnd(10)}  ${name.padEnd(44)} ${ratio.toFixed(2).padStart(6)} (at least ${least}, of ${Math.round(compared)} answers${why})`;
}
