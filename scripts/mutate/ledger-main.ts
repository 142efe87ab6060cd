// Mutation testing of the ledger's SQL, which StrykerJS cannot read: `pnpm mutate:ledger [--sample 200] [--seed 1] [file …]`.
// Changes the files in place, one fault at a time, and puts each back: run it in a clone of its own.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { startPostgres } from '@tollgate/dev-databases';
import { applied, type Mutant, mutantsOf } from './sql-mutants.ts';

const FUNCTIONS = 'services/accounting/src/store/functions';
/** Those that look at amounts and are done in seconds. */
const TESTS = [
  'holds',
  'settling',
  'credits',
  'clock',
  'ledger',
  'limits',
  'pools',
  'rates',
  'charging',
  'alerts',
  'refunds',
  'lots',
].map((name) => `services/accounting/tests/.*${name}\\.test`);
const RUN_TIMEOUT_MS = 180_000;
const MOST_OUTPUT_BYTES = 50_000_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    tests: { type: 'string', multiple: true, default: TESTS },
  },
});
const files =
  positionals.length > 0
    ? positionals
    : [
        '01-ledger.sql',
        '03-lots.sql',
        '05-hold-lots.sql',
        '07-open-hold.sql',
        '09-close-hold.sql',
        '11-open-together.sql',
        '15-close-together.sql',
      ];

/** mulberry32: the same seed takes the same sample. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const folder = await mkdtemp(join(tmpdir(), 'tollgate-mutate-'));
const postgres = await startPostgres({
  dataDir: join(folder, 'postgres'),
  durable: false,
  env: process.env,
  onProgress: () => {},
});

async function passes(): Promise<boolean> {
  const jest = ['--conditions=tollgate', '--disable-warning=ExperimentalWarning'];
  try {
    await promisify(execFile)(
      process.execPath,
      [...jest, 'node_modules/jest/bin/jest.js', '-w', '2', '--bail', '--silent', ...values.tests],
      {
        env: { ...process.env, TEST_POSTGRES_URL: postgres.url, TEST_MONGO_URL: 'mongodb://127.0.0.1:1' },
        timeout: RUN_TIMEOUT_MS,
        killSignal: 'SIGTERM',
        maxBuffer: MOST_OUTPUT_BYTES,
      },
    );
    return true;
  } catch {
    return false;
  }
}

async function survives(mutant: Mutant, path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8');
  await writeFile(path, applied(mutant, text));
  try {
    // Killed is what fails twice: a test that fails once by chance kills nothing.
    return (await passes()) || (await passes());
  } finally {
    await writeFile(path, text);
  }
}

const print = (line: string): boolean => process.stdout.write(`${line}\n`);
try {
  if (!(await passes()) && !(await passes())) throw new Error('the tests fail without any mutant');
  const texts = await Promise.all(files.map((file) => readFile(join(FUNCTIONS, file), 'utf8')));
  const all = files.flatMap((file, n) => mutantsOf(file, texts[n] ?? ''));
  const random = randomOf(Number(values.seed));
  const sample = all
    .map((mutant) => ({ mutant, place: random() }))
    .sort((one, other) => one.place - other.place)
    .slice(0, Number(values.sample))
    .map(({ mutant }) => mutant);
  print(`${sample.length} of ${all.length} mutants, seed ${values.seed}`);
  let killed = 0;
  for (const [n, mutant] of sample.entries()) {
    const isAlive = await survives(mutant, join(FUNCTIONS, mutant.file));
    if (!isAlive) killed += 1;
    const said = `${mutant.file}:${mutant.line} ${mutant.from} → ${mutant.to || '(nothing)'}`;
    print(`${n + 1}/${sample.length} ${isAlive ? 'SURVIVED' : 'killed'} ${said}`);
  }
  print(`mutation score ${((100 * killed) / sample.length).toFixed(1)} % (${killed} of ${sample.length})`);
} finally {
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
}
