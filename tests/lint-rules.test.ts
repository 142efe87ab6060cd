import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

// Each rule that .oxlintrc.json switches on is shown a file that breaks it, and each exemption one that may.

const SOURCE = 'packages/x/src';
const statements = (count: number) => '  x();\n'.repeat(count);

/** Code that breaks the rule, and nothing else that matters here. */
const BROKEN: Readonly<Record<string, string>> = {
  'typescript/no-explicit-any': 'export const x: any = 1;',
  'typescript/no-non-null-assertion': 'export const x = (y?: string) => y!.length;',
  'typescript/ban-ts-comment': '// @ts-ignore\nexport const x = 1;',
  'typescript/consistent-type-imports': "import { x } from './y.ts';\nexport type X = typeof x;",
  'typescript/no-unsafe-function-type': 'export type X = Function;',
  'typescript/switch-exhaustiveness-check':
    "export function x(y: 'a' | 'b') {\n  switch (y) {\n    case 'a':\n      return 1;\n  }\n  return 2;\n}",
  'typescript/no-floating-promises': 'export function x() {\n  Promise.resolve(1);\n}',
  'typescript/no-misused-promises': 'export function x(y: Promise<boolean>) {\n  if (y) return 1;\n  return 2;\n}',
  'typescript/await-thenable': 'export async function x() {\n  await 1;\n}',
  'typescript/only-throw-error': "export function x() {\n  throw 'no';\n}",
  'typescript/no-misused-spread': 'class Y { z = 1; }\nexport const x = { ...new Y() };',
  complexity: `export const x = (y: number) => ${Array.from({ length: 13 }, (_, index) => `y === ${index}`).join(' || ')};`,
  'max-params': 'export const x = (a: 1, b: 1, c: 1, d: 1, e: 1) => [a, b, c, d, e];',
  'max-depth':
    'export function x(y: number) {\n  if (y) { if (y > 1) { if (y > 2) { if (y > 3) throw new Error(); } } }\n}',
  'max-lines': 'export {};\n'.repeat(301),
  'max-lines-per-function': `export function x() {\n${statements(70)}}`,
  eqeqeq: 'export const x = (y: unknown) => y == 1;',
  'prefer-const': 'let x = 1;\nexport { x };',
  'no-var': 'export var x = 1;',
  'no-else-return': 'export function x(y: boolean) {\n  if (y) return 1;\n  else return 2;\n}',
  'no-param-reassign': 'export function x(y: number) {\n  y = 1;\n  return y;\n}',
  'no-shadow': 'export const x = (y: number) => [1].map((y) => y);',
  'no-unused-vars': 'const x = 1;\nexport {};',
  'no-warning-comments': '// TO' + 'DO later\nexport {};',
  'import/no-default-export': 'export default 1;',
  'no-console': "console.log('x');",
  'node/no-process-env': "export const x = process.env['X'];",
  'unicorn/no-process-exit': 'process.exit(1);',
};

const BROKEN_TESTS: Readonly<Record<string, string>> = {
  'jest/no-focused-tests': "it.only('x', () => expect(1).toBe(1));",
  'jest/no-disabled-tests': "it.skip('x', () => expect(1).toBe(1));",
  'jest/expect-expect': "it('x', () => {});",
  'jest/no-standalone-expect': 'expect(1).toBe(1);',
  'jest/no-restricted-jest-methods': "jest.mock('x');",
};

const BROKEN_IN_FLOWS: Readonly<Record<string, string>> = {
  'no-restricted-properties': 'export const x = () => Date.now();',
  'no-restricted-globals': 'export const x = () => setTimeout(() => 1, 1);',
};

const JEST = "import { expect, it, jest } from '@jest/globals';\n";

/** What the same code may do elsewhere. */
const ALLOWED: Readonly<Record<string, string>> = {
  'services/x/src/config.ts': "export const x = process.env['X'];",
  'services/x/src/store/clock.ts': 'export const x = () => Date.now();',
  'scripts/x.ts': "export const x = process.env['X'];\nprocess.exit(1);",
  'jest.config.ts': 'export default {};',
  'packages/x/tests/long.test.ts': `${JEST}it('x', () => {\n${statements(90)}  expect(1).toBe(1);\n});\nconst x = () => 1;`,
};

const fileOf = (rule: string, folder: string, end = '.ts') => `${folder}/${rule.replaceAll('/', '-')}${end}`;
const samples = [
  ...Object.entries(BROKEN).map(([rule, text]) => ({ rule, path: fileOf(rule, SOURCE), text })),
  ...Object.entries(BROKEN_TESTS).map(([rule, text]) => ({
    rule,
    path: fileOf(rule, 'packages/x/tests', '.test.ts'),
    text: JEST + text,
  })),
  ...Object.entries(BROKEN_IN_FLOWS).map(([rule, text]) => ({
    rule,
    path: fileOf(rule, 'services/x/src/flows'),
    text,
  })),
];

interface Finding {
  readonly filename: string;
  readonly code: string;
}

/** `eslint(no-var)`, `typescript-eslint(no-explicit-any)` → `no-var`, `typescript/no-explicit-any`. */
function ruleOf(code: string): string {
  const [, source = '', name = ''] = /^([\w-]+)\((.*)\)$/.exec(code) ?? [];
  const plugin = source.replace(/^eslint-plugin-|-eslint$/g, '');
  return plugin === 'eslint' ? name : `${plugin}/${name}`;
}

function lint(folder: string): Promise<Finding[]> {
  const { promise, resolve: done, reject } = Promise.withResolvers<Finding[]>();
  const oxlint = resolve('node_modules', '.bin', 'oxlint');
  execFile(oxlint, ['--format=json'], { cwd: folder, maxBuffer: 50_000_000 }, (error, stdout, stderr) => {
    try {
      done((JSON.parse(stdout) as { diagnostics: Finding[] }).diagnostics);
    } catch {
      reject(new Error(stderr, { cause: error }));
    }
  });
  return promise;
}

describe('the lint rules', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-lint-'));
  let findings: Finding[] = [];
  const foundIn = (path: string) =>
    findings.filter(({ filename }) => filename.replaceAll('\\', '/').endsWith(path)).map(({ code }) => ruleOf(code));

  beforeAll(async () => {
    cpSync('.oxlintrc.json', join(folder, '.oxlintrc.json'));
    const options = {
      strict: true,
      target: 'es2023',
      module: 'nodenext',
      noEmit: true,
      allowImportingTsExtensions: true,
    };
    const files = { ...ALLOWED, 'tsconfig.json': JSON.stringify({ compilerOptions: options, include: ['**/*.ts'] }) };
    const broken = Object.fromEntries(samples.map(({ path, text }) => [path, text]));
    for (const [path, text] of Object.entries({ ...files, ...broken })) {
      mkdirSync(join(folder, dirname(path)), { recursive: true });
      writeFileSync(join(folder, path), `${text}\n`);
    }
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules')); // the type-aware half of the linter lies there
    findings = await lint(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(samples)('$rule reports what breaks it', ({ rule, path }) => {
    expect(foundIn(path)).toContain(rule);
  });

  it('have a sample for every rule that is switched on by name', () => {
    const config = readFileSync('.oxlintrc.json', 'utf8');
    const named = [...config.matchAll(/^\s+"([\w/-]+)": (?:"error"|\[\s*"error")/gm)].map(([, rule]) => rule);
    const options = new Set(['reportUnusedDisableDirectives', 'correctness']);
    const shown = new Set(samples.map(({ rule }) => rule));
    expect(named.filter((rule) => rule !== undefined && !shown.has(rule) && !options.has(rule))).toEqual([]);
  });

  it.each(Object.keys(ALLOWED))('leave %s what it needs', (path) => {
    const exempted = [
      'node/no-process-env',
      'unicorn/no-process-exit',
      'import/no-default-export',
      'max-lines-per-function',
    ];
    const found = foundIn(path).filter((rule) => exempted.includes(rule) || rule.startsWith('no-restricted'));
    expect(found).toEqual([]);
  });
});
