import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createSigner, publicSetOf, readPrivateKeys } from '../src/sign.ts';
import { ALICE, newSecret } from './forge.ts';

// The README's own code becomes a service of somebody else: in a folder outside the repository, compiled, started and called.

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));
const CODE_BLOCK = /^```ts\n\/\/ ([a-z]+\.ts)\n([\s\S]*?)^```$/gm;

const readme = readFileSync(join(PACKAGE, 'README.md'), 'utf8');
const files = new Map([...readme.matchAll(CODE_BLOCK)].map(([, name = '', code = '']) => [name, code]));

const folder = mkdtempSync(join(tmpdir(), 'tollgate-third-service-'));
const privateKeys = readPrivateKeys(
  String(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })),
);
let isIssuerThere = true;
const issuer = createServer((_request, response) => {
  if (!isIssuerThere) return void response.writeHead(503).end();
  response.end(JSON.stringify(publicSetOf(privateKeys)));
});
const running: ChildProcess[] = [];

beforeAll(() => {
  for (const scope of ['@tollgate', '@types']) mkdirSync(join(folder, 'node_modules', scope), { recursive: true });
  const link = (name: string, target: string) => symlinkSync(target, join(folder, 'node_modules', name));
  link('@tollgate/jwt-claims', PACKAGE);
  for (const name of ['express', 'fastify', '@types/express']) link(name, join(PACKAGE, 'node_modules', name));
  link('@types/node', join(REPOSITORY, 'node_modules/@types/node'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  for (const [name, code] of files) writeFileSync(join(folder, name), code);
});
afterAll(async () => {
  await Promise.all(running.map((child) => (child.kill(), once(child, 'exit'))));
  issuer.close();
  rmSync(folder, { recursive: true, force: true });
});

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await portOf(server);
  server.close();
  return port;
}

/** Starts one of the README's programs and resolves when it answers. */
async function start(program: string): Promise<string> {
  if (!issuer.listening) await portOf(issuer);
  const port = await freePort();
  const { port: issuerPort } = issuer.address() as AddressInfo;
  const env = { PATH: process.env['PATH'], PORT: String(port), JWKS_URL: `http://127.0.0.1:${issuerPort}/keys` };
  const child = spawn(process.execPath, ['--conditions=tollgate', program], {
    cwd: folder,
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  running.push(child);
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`);
    const response = await fetch(url).catch(() => undefined);
    await response?.body?.cancel();
    if (response) return url;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function tokenOf(role: 'enduser' | 'admin', audience = 'billing'): Promise<string> {
  const plan = { ttlSeconds: 900 };
  const signer = createSigner({
    access: { ...plan, keys: privateKeys },
    refresh: { ...plan, keys: [{ kid: 'r1', secret: newSecret() }] },
    issuer: 'tollgate',
    audience: ['auth', audience],
  });
  const subject = { sub: ALICE, username: 'alice', email: 'alice@example.test', role, sid: 's1' };
  return (await signer.signAccess(subject)).token;
}

async function ask(url: string, method: string, token?: string) {
  const response = await fetch(url, {
    method,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
  const text = await response.text();
  const headers = Object.fromEntries(response.headers);
  return {
    status: response.status,
    headers,
    body: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>),
  };
}

it('the README has a program for each framework and one for none', () => {
  expect([...files.keys()]).toEqual(['verifier.ts', 'express.ts', 'fastify.ts', 'plain.ts']);
});

it('the programs and the assertions on types compile', async () => {
  writeFileSync(join(folder, 'types.ts'), readFileSync(join(PACKAGE, 'tests/fixtures/types.ts')));
  const compilerOptions = {
    target: 'es2023',
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    verbatimModuleSyntax: true,
    allowImportingTsExtensions: true,
    noEmit: true,
    skipLibCheck: true,
    types: ['node'],
    customConditions: ['tollgate'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const tsc = join(REPOSITORY, 'node_modules/.bin/tsc');
  await expect(promisify(execFile)(tsc, ['-p', folder, '--pretty', 'false'])).resolves.toMatchObject({ stdout: '' });
});

describe.each(['express.ts', 'fastify.ts'])('a third service (%s)', (program) => {
  let url: string;
  beforeAll(async () => {
    isIssuerThere = false;
    url = await start(program);
  });

  it('says 503 while the keys are away, and takes users and admins when they are there', async () => {
    const token = await tokenOf('enduser');
    const early = await ask(`${url}/invoices`, 'GET', token);
    expect(early).toMatchObject({
      status: 503,
      body: { code: 'dependency_unavailable' },
      headers: { 'retry-after': '2' },
    });
    isIssuerThere = true;
    let answer = early;
    while (answer.status === 503) {
      await new Promise((resolve) => setTimeout(resolve, 25));
      answer = await ask(`${url}/invoices`, 'GET', token);
    }
    expect(answer).toMatchObject({ status: 200, body: { invoicesOf: ALICE, role: 'enduser' } });
    const deleted = await ask(`${url}/invoices/7`, 'DELETE', await tokenOf('admin'));
    expect(deleted).toMatchObject({ status: 200, body: { deleted: '7' } });
  });

  it('refuses with a problem document and a challenge', async () => {
    const refusal = (status: number, code: string, challenge: string) => ({
      status,
      headers: {
        'content-type': 'application/problem+json; charset=utf-8',
        'cache-control': 'no-store',
        'www-authenticate': challenge,
      },
      body: {
        type: `urn:tollgate:problem:${code}`,
        title: expect.any(String),
        status,
        detail: expect.any(String),
        code,
      },
    });
    const invalid = refusal(401, 'invalid_token', 'Bearer error="invalid_token"');
    expect(await ask(`${url}/invoices`, 'GET')).toMatchObject(refusal(401, 'unauthenticated', 'Bearer'));
    expect(await ask(`${url}/invoices`, 'GET', 'a.b.c')).toMatchObject(invalid);
    expect(await ask(`${url}/invoices`, 'GET', await tokenOf('admin', 'accounting'))).toMatchObject(invalid);
    const user = await ask(`${url}/invoices/7`, 'DELETE', await tokenOf('enduser'));
    expect(user).toMatchObject(refusal(403, 'forbidden', 'Bearer error="insufficient_scope"'));
  });
});

it('a third service without a framework (plain.ts) verifies as well', async () => {
  isIssuerThere = true;
  const url = await start('plain.ts');
  expect(await ask(url, 'GET', await tokenOf('admin'))).toMatchObject({ status: 200, body: { role: 'admin' } });
  expect(await ask(url, 'GET', await tokenOf('admin', 'accounting'))).toMatchObject({ status: 401 });
  expect(await ask(url, 'GET')).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer' } });
});

it('the package says what it needs and ships what it exports', () => {
  const manifest = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as Record<string, unknown>;
  const root = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as Record<string, unknown>;
  expect(manifest).toMatchObject({
    license: root['license'],
    engines: root['engines'],
    type: 'module',
    files: ['dist', '!dist/.tsbuildinfo'],
    peerDependenciesMeta: { express: { optional: true }, fastify: { optional: true } },
  });
  expect(manifest).not.toHaveProperty('private');
  const exported = Object.entries(manifest['exports'] as Record<string, Record<string, string>>);
  expect(exported.map(([path]) => path)).toEqual(['.', './express', './fastify', './sign', './revocations']);
  for (const [, { types, tollgate = '', default: built }] of exported) {
    const name = /^\.\/src\/(\w+)\.ts$/.exec(tollgate)?.[1];
    expect([types, built]).toEqual([`./dist/${name}.d.ts`, `./dist/${name}.js`]);
    expect(existsSync(join(PACKAGE, tollgate))).toBe(true);
  }
});
