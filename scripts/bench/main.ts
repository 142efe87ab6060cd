// Measures the platform against a bare pass-through and others, and writes docs/reports/bench-<date>.md:
// `pnpm bench [--quick] [--rounds 3] [--seconds 4] [--report file.md] [name…]`; `--quick` prints its report instead.
// `pnpm bench --table docs/reports/bench-<date>.md` measures nothing and prints the table of the README out of that report.
// Everything it needs it starts itself, on loopback, and ends. The services run from dist, as in production, which is built before.
import { readFile, writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { readArguments } from './report/arguments.ts';
import type { Section } from './report/section.ts';
import { readmeTable, reportOf } from './report/write-report.ts';
import { chatBenches } from './rows/chat.ts';
import { hotAccountBench } from './rows/hot-account.ts';
import { idleBench } from './rows/idle.ts';
import { ledgerBench } from './rows/ledger.ts';
import { loginsBench } from './rows/logins.ts';
import { streamsBench } from './rows/streams.ts';
import { verificationBench } from './rows/verification.ts';
import { createClosers } from './stage/closers.ts';
import { type Bench, type Context, createContext } from './stage/context.ts';

const BENCHES: readonly Bench[] = [
  verificationBench,
  ...chatBenches,
  streamsBench,
  loginsBench,
  hotAccountBench,
  ledgerBench,
  idleBench,
];
const INTERRUPTED = 130;
/** Whatever hangs, everything ends. */
const LONGEST_MS = 30 * 60_000;
/** Of each column: compiling is a tenth of a column's work at first, and less with every second. */
const WARM_UP_SECONDS = { quick: 4, whole: 10 } as const;

const wanted = readArguments(
  process.argv.slice(2),
  BENCHES.map(({ name }) => name),
);
if (wanted.table !== undefined) {
  process.stdout.write(readmeTable(await readFile(wanted.table, 'utf8'), wanted.table));
  process.exit(0);
}
const began = performance.now();
const loadBefore = loadavg()[0] ?? 0;
const seconds = () => Math.round((performance.now() - began) / 1000);
const say = (text: string): void => void process.stderr.write(`• ${seconds()} s ${text}\n`);
const closers = createClosers(say);
const endEarly = (): void => void closers.close().finally(() => process.exit(INTERRUPTED));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, endEarly);
setTimeout(endEarly, LONGEST_MS).unref();

/** A bench that fails says so and loses nobody else's figures. */
async function runAll(context: Context): Promise<(readonly [string, Section])[]> {
  const { names, quick } = wanted;
  const chosen = BENCHES.filter(({ name, isQuick }) => (names.length > 0 ? names.includes(name) : isQuick || !quick));
  const sections: (readonly [string, Section])[] = [];
  for (const bench of chosen) {
    say(bench.about);
    sections.push([bench.name, await bench.run(context).catch((error: unknown) => failed(bench, error))]);
  }
  return sections;
}

function failed({ name, about }: Bench, error: unknown): Section {
  say(`${name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  const verdict = `not measured: ${String(error).split('\n', 1)[0]}` as const;
  return { findings: [{ figure: about, target: '', measured: '-', ratio: '-', verdict }], tables: [] };
}

try {
  const { quick, rounds, seconds: secondsOfRound } = wanted;
  const warmUpSeconds = WARM_UP_SECONDS[quick ? 'quick' : 'whole'];
  const pacing = { rounds, seconds: secondsOfRound, warmUpSeconds };
  const context = createContext({ quick, pacing, closers, said: say });
  const sections = await runAll(context);
  const report = reportOf({
    command: ['pnpm bench', ...process.argv.slice(2)].join(' '),
    about: [
      `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.version}; load ${loadBefore.toFixed(1)} before, so much was busy with other work.`,
      `${rounds} rounds of ${secondsOfRound} s each in turns, after ${warmUpSeconds} s each of warm-up. Ratios are medians over the ratios of the rounds.`,
      ...(await context.engines()),
    ],
    seconds: seconds(),
    sections,
  });
  if (wanted.report === undefined && quick) process.stdout.write(report);
  else await writeFile(wanted.report ?? `docs/reports/bench-${new Date().toISOString().slice(0, 10)}.md`, report);
} finally {
  await closers.close();
}
