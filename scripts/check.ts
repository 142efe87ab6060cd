// The house rules in one command. `node scripts/check.ts [names…] [--json report.json]`; exits 1 when a check fails.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

interface Check {
  readonly name: string;
  readonly command: readonly [file: string, ...args: string[]];
}

interface Verdict {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  readonly output: string;
}

const tool = (name: string) => join('node_modules', '.bin', name);
const script = (name: string) =>
  [process.execPath, '--conditions=tollgate', '--disable-warning=ExperimentalWarning', join('scripts', name)] as const;

/** The slowest first, because as many run at once as there are lanes. */
const CHECKS: readonly Check[] = [
  { name: 'types', command: [tool('tsc'), '-b', '--pretty', 'false'] },
  {
    name: 'imports',
    command: [tool('depcruise'), '--config', '.dependency-cruiser.mjs', 'packages', 'services', 'scripts', 'tests'],
  },
  { name: 'lint', command: [tool('oxlint')] },
  { name: 'unused', command: [tool('knip'), '--no-progress', '--no-config-hints'] },
  { name: 'format', command: [tool('biome'), 'format', '--max-diagnostics=50'] },
  { name: 'shape', command: script('check-shape.ts') },
  { name: 'environment', command: script('check-env.ts') },
  { name: 'limits', command: script(join('limits', 'limits-main.ts')) },
];
const LANES = 2;
/** A tool that hangs is a failed check, not a hanging one. */
const LONGEST_MS = 180_000;

async function run({ name, command: [file, ...args] }: Check): Promise<Verdict> {
  const began = performance.now();
  const { promise, resolve } = Promise.withResolvers<{ code: number | null; trouble?: string }>();
  const output: string[] = [];
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: LONGEST_MS });
  child.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => output.push(text));
  child.once('error', (error) => resolve({ code: null, trouble: error.message }));
  child.once('close', (code, signal) => resolve({ code, ...(signal && { trouble: `ended by ${signal}` }) }));
  const { code, trouble } = await promise;
  const seconds = (performance.now() - began) / 1000;
  return { name, ok: code === 0, seconds, output: [...output, trouble ?? ''].join('').trim() };
}

async function runAll(checks: readonly Check[]): Promise<Verdict[]> {
  const waiting = [...checks];
  const verdicts: Verdict[] = [];
  const lane = async () => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      const verdict = await run(check);
      verdicts.push(verdict);
      print(verdict);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return verdicts;
}

function print({ name, ok, seconds, output }: Verdict): void {
  process.stdout.write(`${ok ? 'ok    ' : 'failed'}  ${name.padEnd(12)}${seconds.toFixed(1).padStart(5)} s\n`);
  if (!ok) process.stdout.write(`${output.replaceAll(/^/gm, '        ')}\n`);
}

function report(verdicts: readonly Verdict[], file: string): void {
  const passed = verdicts.filter(({ ok }) => ok).length;
  const checks = verdicts.map(({ name, ok, seconds }) => ({ name, ok, seconds }));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ passed, failed: verdicts.length - passed, checks }, null, 2)}\n`);
}

const { values, positionals } = parseArgs({ options: { json: { type: 'string' } }, allowPositionals: true });
const strange = positionals.filter((name) => !CHECKS.some((check) => check.name === name));
if (strange.length > 0) {
  process.stdout.write(
    `There is no check ${strange.join(', ')}; there are ${CHECKS.map(({ name }) => name).join(', ')}.\n`,
  );
  process.exitCode = 2;
} else {
  const verdicts = await runAll(CHECKS.filter(({ name }) => positionals.length === 0 || positionals.includes(name)));
  if (values.json !== undefined) report(verdicts, values.json);
  process.exitCode = verdicts.every(({ ok }) => ok) ? 0 : 1;
}
