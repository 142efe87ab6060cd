import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

// Each rule of .dependency-cruiser.mjs is shown a small repository in which one import breaks it.

const AUTH = 'services/auth/src';
const PROXY = 'services/chat-proxy/src';

/** rule → the file that breaks it and its text. */
const BROKEN: Readonly<Record<string, readonly [path: string, text: string]>> = {
  domain: [`${AUTH}/domain/a.ts`, "import { x } from '../ports.ts';\nexport const a = x;"],
  'domain-node': [`${AUTH}/domain/b.ts`, "import { readFileSync } from 'node:fs';\nexport const b = readFileSync;"],
  'ports-are-types': [`${PROXY}/ports.ts`, "import { x } from './domain/fine.ts';\nexport const y = x;"],
  ports: [`${AUTH}/ports.ts`, "import type { x as y } from './store/fine.ts';\nexport const x: typeof y = 1;"],
  'ports-node': [
    'services/accounting/src/ports.ts',
    "import type { Server } from 'node:http';\nexport type X = Server;",
  ],
  flows: [`${AUTH}/flows/a.ts`, "import { x } from '../store/fine.ts';\nexport const a = x;"],
  'flows-node': [
    `${AUTH}/flows/b.ts`,
    "import { setTimeout as wait } from 'node:timers/promises';\nexport const b = wait;",
  ],
  store: [`${AUTH}/store/a.ts`, "import { x } from '../clients/fine.ts';\nexport const a = x;"],
  clients: [`${AUTH}/clients/a.ts`, "import express from 'express';\nexport const a = express;"],
  routes: [`${AUTH}/routes/a.ts`, "import mongoose from 'mongoose';\nexport const a = mongoose;"],
  'routes-take-flows-as-types': [`${AUTH}/routes/b.ts`, "import { x } from '../flows/fine.ts';\nexport const b = x;"],
  app: [`${AUTH}/app.ts`, "import { x } from './store/fine.ts';\nexport const app = x;"],
  'app-takes-dependencies-as-types': [`${PROXY}/app.ts`, "import { x } from './deps.ts';\nexport const app = x;"],
  main: [`${AUTH}/main.ts`, "import { x } from './store/fine.ts';\nexport const main = x;"],
  config: [`${AUTH}/config.ts`, "import { x } from './clients/fine.ts';\nexport const config = x;"],
  'config-node': [`${PROXY}/config.ts`, "import { readFileSync } from 'node:fs';\nexport const config = readFileSync;"],
  'services-are-strangers': [
    `${PROXY}/store/a.ts`,
    "import { x } from '../../../auth/src/store/fine.ts';\nexport const a = x;",
  ],
  'packages-below-services': [
    'packages/http-kit/src/a.ts',
    "import { x } from '../../../services/auth/src/store/fine.ts';\nexport const a = x;",
  ],
  'contracts-lowest': [
    'packages/contracts/src/a.ts',
    "import { readFileSync } from 'node:fs';\nexport const a = readFileSync;",
  ],
  'jwt-claims-without-framework': [
    'packages/jwt-claims/src/a.ts',
    "import express from 'express';\nexport const a = express;",
  ],
  'guards-take-frameworks-as-types': [
    'packages/jwt-claims/src/express.ts',
    "import express from 'express';\nexport const a = express;",
  ],
  'packages-that-stand-alone': [
    'packages/telemetry/src/a.ts',
    "import { x } from '@tollgate/contracts';\nexport const a = x;",
  ],
  'http-kit-builds-on': [
    'packages/http-kit/src/b.ts',
    "import { x } from '../../config/src/fine.ts';\nexport const b = x;",
  ],
  'frameworks-on-subpaths': ['packages/http-kit/src/index.ts', "export * from './kit.ts';"],
  'tools-stay-outside': [
    `${AUTH}/clients/b.ts`,
    "import { x } from '../../../../packages/test-kit/src/fine.ts';\nexport const b = x;",
  ],
  'few-may-sign': [
    `${AUTH}/store/b.ts`,
    "import { x } from '../../../../packages/jwt-claims/src/sign.ts';\nexport const b = x;",
  ],
  'no-cycles': [`${AUTH}/domain/c.ts`, "import { d } from './d.ts';\nexport const c = () => d;"],
  resolvable: [`${AUTH}/domain/e.ts`, "import { f } from './nowhere.ts';\nexport const e = f;"],
  declared: [`${AUTH}/store/c.ts`, "import pg from 'pg';\nexport const c = pg;"],
};

const FINE = 'export const x = 1;';
const manifest = (name: string, dependencies: readonly string[] = []) =>
  JSON.stringify({
    name,
    type: 'module',
    exports: { '.': { tollgate: './src/index.ts' } },
    dependencies: Object.fromEntries(dependencies.map((dependency) => [dependency, '*'])),
  });
const SURROUNDINGS: Readonly<Record<string, string>> = {
  'package.json': manifest('root'),
  'services/auth/package.json': manifest('auth', ['express', 'mongoose', '@tollgate/contracts']),
  'packages/contracts/package.json': manifest('@tollgate/contracts'),
  'packages/contracts/src/index.ts': FINE,
  'packages/telemetry/package.json': manifest('@tollgate/telemetry', ['@tollgate/contracts']),
  'packages/jwt-claims/package.json': manifest('@tollgate/jwt-claims', ['express']),
  'packages/jwt-claims/src/sign.ts': FINE,
  'packages/config/src/fine.ts': FINE,
  'packages/test-kit/src/fine.ts': FINE,
  'packages/http-kit/package.json': manifest('@tollgate/http-kit', ['express']),
  'packages/http-kit/src/kit.ts': "import express from 'express';\nexport const x = express;",
  [`${AUTH}/domain/fine.ts`]: FINE,
  [`${AUTH}/domain/d.ts`]: "import { c } from './c.ts';\nexport const d = () => c;",
  [`${AUTH}/flows/fine.ts`]:
    "import { x as y } from '../domain/fine.ts';\nimport { x as z } from '@tollgate/contracts';\nexport const x = [y, z];",
  [`${AUTH}/store/fine.ts`]:
    "import { x as y } from '../domain/fine.ts';\nimport mongoose from 'mongoose';\nexport const x = [y, mongoose];",
  [`${AUTH}/clients/fine.ts`]: FINE,
  [`${AUTH}/routes/fine.ts`]: "import type { x } from '../flows/fine.ts';\nexport type Y = typeof x;",
  [`${AUTH}/deps.ts`]:
    "import { x as y } from './store/fine.ts';\nimport { x as z } from './flows/fine.ts';\nexport const x = [y, z];",
  [`${PROXY}/deps.ts`]: FINE,
  [`${PROXY}/domain/fine.ts`]: FINE,
  ...Object.fromEntries(
    ['express', 'mongoose', 'pg'].flatMap((name) => [
      [`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' })],
      [`node_modules/${name}/index.js`, 'module.exports = {};'],
    ]),
  ),
};

interface Violation {
  readonly from: string;
  readonly rule: { readonly name: string };
}

function cruise(folder: string): Promise<Violation[]> {
  const { promise, resolve: done, reject } = Promise.withResolvers<Violation[]>();
  const depcruise = resolve('node_modules', '.bin', 'depcruise');
  const args = ['--config', '.dependency-cruiser.mjs', '--output-type', 'json', 'packages', 'services'];
  execFile(depcruise, args, { cwd: folder, maxBuffer: 50_000_000 }, (error, stdout, stderr) => {
    try {
      done((JSON.parse(stdout) as { summary: { violations: Violation[] } }).summary.violations);
    } catch {
      reject(new Error(stderr, { cause: error }));
    }
  });
  return promise;
}

describe('the import rules', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-imports-'));
  let violations: Violation[] = [];

  beforeAll(async () => {
    cpSync('.dependency-cruiser.mjs', join(folder, '.dependency-cruiser.mjs'));
    for (const [path, text] of [...Object.entries(SURROUNDINGS), ...Object.values(BROKEN)]) {
      mkdirSync(join(folder, dirname(path)), { recursive: true });
      writeFileSync(join(folder, path), `${text}\n`);
    }
    mkdirSync(join(folder, 'node_modules/@tollgate'));
    symlinkSync('../../packages/contracts', join(folder, 'node_modules/@tollgate/contracts'));
    violations = await cruise(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(Object.entries(BROKEN))('%s reports the import that breaks it', (rule, [path]) => {
    expect(violations.filter(({ from }) => from === path).map((violation) => violation.rule.name)).toContain(rule);
  });

  it('have a sample for every rule', async () => {
    const file = pathToFileURL(resolve('.dependency-cruiser.mjs')).href;
    const { default: config } = (await import(file)) as { default: { forbidden: { name: string }[] } };
    expect(Object.keys(BROKEN).toSorted()).toEqual(config.forbidden.map(({ name }) => name).toSorted());
  });

  it('let every layer import what it needs', () => {
    expect(violations.filter(({ from }) => Object.hasOwn(SURROUNDINGS, from) && !from.endsWith('/d.ts'))).toEqual([]);
  });
});
