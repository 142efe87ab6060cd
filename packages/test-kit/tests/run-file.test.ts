import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
const runner = join(repository, 'packages/test-kit/jest/run-file.mjs');
const jest = "import { expect, it } from '@jest/globals';\n";
const wait = 'await new Promise((resolve) => setTimeout(resolve, 20));';
const FILES = {
  'src/source.ts': 'export const kept: string[] = [];',
  'tests/fixture.ts': 'export const kept: string[] = [];',
  'tests/rejection.test.ts': `${jest}it('leaves one', async () => { void Promise.reject(new Error('left alone')); ${wait} });`,
  'tests/throw.test.ts': `${jest}it('throws', async () => { setTimeout(() => { throw new Error('later'); }); ${wait} });`,
  'tests/missing.test.ts': `${jest}import { nothing } from './nothing.ts';\nit('is never run', () => nothing);`,
  'tests/limit.test.ts': `import { it, jest } from '@jest/globals';\njest.setTimeout(40);\nit('hangs', () => new Promise(() => {}));`,
  'tests/exit.test.ts': `${jest}it('exits', () => process.exit(0));`,
  'tests/killed.test.ts': `${jest}it('is killed', () => process.kill(process.pid, 'SIGKILL'));`,
  ...Object.fromEntries(
    ['a', 'b', 'c'].map((name) => [
      `tests/isolated-${name}.test.ts`,
      `${jest}import { kept } from './fixture.ts';
      import { kept as shared } from '../src/source.ts';
      process.on('SIGUSR2', () => undefined);
      kept.push('${name}');
      shared.push('${name}');
      it('finds the fixture as if alone', () => expect(kept).toEqual(['${name}']));
      it('finds no listeners of others', () => expect(process.listenerCount('SIGUSR2')).toBe(1));
      it('finds the source of others', () => expect(new Set(shared).size).toBe(shared.length));`,
    ]),
  ),
};

interface Report {
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly unknown[];
  }[];
}

let folder: string;
let report: Report;
let exitCode: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-run-file-'));
  await mkdir(join(folder, 'src'));
  await mkdir(join(folder, 'tests'));
  for (const [name, text] of Object.entries(FILES)) await writeFile(join(folder, name), text);
  const config = join(folder, 'jest.config.json');
  await writeFile(config, JSON.stringify({ testRunner: runner, transform: {}, testMatch: ['**/*.test.ts'] }));
  const output = join(folder, 'report.json');
  const program = join(repository, 'node_modules/jest/bin/jest.js');
  exitCode = await new Promise((resolve) => {
    const args = [program, '--config', config, '-w', '2', '--json', `--outputFile=${output}`];
    execFile(process.execPath, args, { cwd: folder }, (error) => resolve(Number(error?.code ?? 0)));
  });
  report = JSON.parse(await readFile(output, 'utf8')) as Report;
});
afterAll(() => rm(folder, { recursive: true }));

const resultOf = (name: string) => {
  const found = report.testResults.find((result) => result.name.endsWith(`/${name}.test.ts`));
  return { status: found?.status, message: found?.message, cases: found?.assertionResults.length };
};

describe('A run of tests', () => {
  it.each([
    ['whose promise was rejected and left alone', 'rejection', 'left alone', 1],
    ['that threw where nobody could catch it', 'throw', 'later', 1],
    ['whose test takes longer than the file allows', 'limit', 'timeout of 40 ms', 1],
    ['that cannot be loaded', 'missing', 'nothing.ts', 0],
    ['that ended its process', 'exit', 'exitCode=0', 0],
    ['whose process was killed', 'killed', 'SIGKILL', 0],
  ])('fails with a file %s', (_what, name, message, cases) => {
    expect(resultOf(name)).toMatchObject({ status: 'failed', message: expect.stringContaining(message), cases });
    expect(exitCode).toBe(1);
    expect(report.numRuntimeErrorTestSuites).toBe(3);
  });

  it.each(['a', 'b', 'c'])('keeps what tests hold in their modules and listen to from file %s', (name) => {
    expect(resultOf(`isolated-${name}`)).toMatchObject({ status: 'passed', cases: 3 });
  });
});
