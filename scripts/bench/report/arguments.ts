import { parseArgs } from 'node:util';

/** What was asked for on the command line. */
export interface Wanted {
  readonly quick: boolean;
  /** Names of benches; none: all that there are. */
  readonly names: readonly string[];
  readonly report: string | undefined;
  /** A report that was written before, of which only the table for the README is wanted. */
  readonly table: string | undefined;
  readonly rounds: number;
  readonly seconds: number;
}

const FULL = { rounds: 3, seconds: 4 } as const;
const QUICK = { rounds: 3, seconds: 2 } as const;
const MOST = { rounds: 20, seconds: 60 } as const;

/** @throws RangeError for a bench that is not there, and a number out of bounds. */
export function readArguments(args: readonly string[], benches: readonly string[]): Wanted {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      report: { type: 'string' },
      table: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
    },
  });
  const strange = positionals.filter((name) => !benches.includes(name));
  if (strange.length > 0)
    throw new RangeError(`there is no bench ${strange.join(', ')}; there are ${benches.join(', ')}`);
  const usual = values.quick ? QUICK : FULL;
  return {
    quick: values.quick,
    names: positionals,
    report: values.report,
    table: values.table,
    rounds: numberOf('rounds', values.rounds, usual.rounds),
    seconds: numberOf('seconds', values.seconds, usual.seconds),
  };
}

function numberOf(name: keyof typeof MOST, text: string | undefined, usual: number): number {
  const number = text === undefined ? usual : Number(text);
  if (!Number.isFinite(number) || number < 1 || number > MOST[name])
    throw new RangeError(`--${name} must be a number from 1 to ${MOST[name]}`);
  return Math.floor(number);
}
