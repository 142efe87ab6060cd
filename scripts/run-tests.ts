// Runs the checks and the tests and adds them up. Arguments are passed on to jest (for example a path).
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

interface Count {
  passed: number;
  failed: number;
}

const results = join('.tollgate', 'results');
const jestArguments = process.argv.slice(2);

function run(command: string, args: readonly string[]): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const child = spawn(command, args, { stdio: 'inherit' });
  child.once('error', reject);
  child.once('exit', (code) => resolve(code ?? 1));
  return promise;
}

/** A tool that left no readable report counts as one failure, never as nothing. */
function read<T>(file: string, count: (report: T) => Count): Count {
  try {
    return count(JSON.parse(readFileSync(file, 'utf8')) as T);
  } catch {
    return { passed: 0, failed: 1 };
  }
}

async function checks(): Promise<Count> {
  const report = join(results, 'checks.json');
  const code = await run(process.execPath, ['--conditions=tollgate', 'scripts/check.ts', '--json', report]);
  const count = read<Count>(report, ({ passed, failed }) => ({ passed, failed }));
  return code !== 0 && count.failed === 0 ? { ...count, failed: 1 } : count;
}

interface JestReport {
  numPassedTests: number;
  numFailedTests: number;
  numRuntimeErrorTestSuites: number;
}

async function tests(): Promise<Count> {
  const report = join(results, 'jest.json');
  const code = await run(process.execPath, [
    '--conditions=tollgate',
    '--import',
    './packages/test-kit/jest/unhandled.mjs',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    '-w',
    '2',
    '--json',
    `--outputFile=${report}`,
    ...jestArguments,
  ]);
  const count = read<JestReport>(report, (jest) => ({
    passed: jest.numPassedTests,
    failed: jest.numFailedTests + jest.numRuntimeErrorTestSuites,
  }));
  return code !== 0 && count.failed === 0 ? { ...count, failed: 1 } : count;
}

/** The quick bench, whose ratios must not fall. */
async function bench(): Promise<Count> {
  const report = join(results, 'bench.json');
  const code = await run(process.execPath, [
    '--conditions=tollgate',
    '--disable-warning=ExperimentalWarning',
    'scripts/bench/guard.ts',
    '--json',
    report,
  ]);
  const count = read<Count>(report, ({ passed, failed }) => ({ passed, failed }));
  return code !== 0 && count.failed === 0 ? { ...count, failed: 1 } : count;
}

rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });
const began = performance.now();
const counts = jestArguments.length > 0 ? [await tests()] : [await checks(), await tests(), await bench()];
const passed = counts.reduce((sum, count) => sum + count.passed, 0);
const failed = counts.reduce((sum, count) => sum + count.failed, 0);
process.stdout.write(`\n${((performance.now() - began) / 1000).toFixed(0)} s\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
