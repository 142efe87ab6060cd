// Measures the platform against a bare pass-through and others, and writes a report: `pnpm bench [--quick] [--report file.md] [name…]`.
// Everything it needs it starts itself, on loopback, and ends. `pnpm bench --help` names the benches.
import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { reportOf } from './report/write-report.ts';
import type { Section } from './report/section.ts';
import { chatBenches } from './rows/chat.ts';
import { createClosers } from './stage/closers.ts';
import { type Bench, createContext } from './stage/context.ts';

const BENCHES: readonly Bench[] = [...chatBenches];
const INTERRUPTED = 130;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, report: { type: 'string' } },
});
const began = performance.now();
const seconds = () => Math.round((performance.now() - began) / 1000);
const say = (text: string): void => void process.stderr.write(`• ${seconds()} s ${text}\n`);
const closers = createClosers(say);
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void closers.close().finally(() => process.exit(INTERRUPTED)));

/** A bench that fails says so and loses nobody else's figures. */
async function runAll(benches: readonly Bench[]): Promise<(readonly [string, Section])[]> {
  const context = createContext(values.quick, closers, say);
  const sections: (readonly [string, Section])[] = [];
  for (const bench of benches) {
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

const wanted = BENCHES.filter(({ name, isQuick }) =>
  positionals.length > 0 ? positionals.includes(name) : isQuick || !values.quick,
);
try {
  const sections = await runAll(wanted);
  const [cpu] = cpus();
  const machine = [
    `Machine: ${cpus().length} cores (${cpu?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.version}.`,
  ];
  const command = ['pnpm bench', ...process.argv.slice(2)].join(' ');
  const report = reportOf({ command, machine, seconds: seconds(), sections });
  const file = values.report ?? `docs/reports/bench-${new Date().toISOString().slice(0, 10)}.md`;
  if (values.quick && values.report === undefined) process.stdout.write(report);
  else await writeFile(file, report);
} finally {
  await closers.close();
}
