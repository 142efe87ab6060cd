import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Auth } from '../auth.ts';
import { instanceOf, rowsOf } from './log.ts';

let auth: Auth;
let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anchors-'));
  file = join(folder, 'anchors');
  auth = await Auth.start({ env: { AUDIT_ANCHOR_INTERVAL: '1h' } });
  await auth.logIn('nobody', 'x');
  await auth.logIn('nobody', 'x');
  const deps = await instanceOf(auth, undefined, { AUDIT_ANCHOR_FILE: file });
  await deps.flows.takeAnchor();
  await deps.close();
});
afterAll(async () => {
  await auth.stop();
  await rm(folder, { recursive: true });
});

const SCRIPT = fileURLToPath(new URL('../../../../scripts/audit-verify.ts', import.meta.url));

function verify(args: string[] = [], env: Record<string, string> = auth.env) {
  const { promise, resolve } = Promise.withResolvers<{ code: unknown; out: string; err: string }>();
  execFile(process.execPath, ['--conditions=tollgate', SCRIPT, ...args], { env }, (error, out, err) =>
    resolve({ code: error ? error.code : 0, out, err }),
  );
  return promise;
}

it('ends with 0 for a log that is as it was written, with the anchors that were kept outside', async () => {
  expect(await verify()).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^ok {5}2 lines in 1 chains, 1 anchors/),
  });
  const { code, out } = await verify(['--anchors', file, '--json']);
  expect([code, JSON.parse(out)]).toMatchObject([0, { ok: true, isComplete: true, faults: [] }]);
});

it('ends with 1 and names the first offending row', async () => {
  await rowsOf(auth).updateOne({ seq: 1 }, { $set: { ip: '203.0.113.9' } });
  const { code, out } = await verify(['--json', '--chain', 'default']);
  expect(code).toBe(1);
  expect((JSON.parse(out) as { faults: unknown[] }).faults[0]).toEqual({
    what: 'line',
    fault: 'edited',
    chain: 'default',
    row: 'default:1',
    seq: 1,
  });
});

it('ends with 2 when it cannot check', async () => {
  const { code, err } = await verify([], { ...auth.env, MONGODB_URI: 'mongodb://127.0.0.1:1/x' });
  expect([code, err]).toEqual([2, expect.stringContaining('could not be checked')]);
});
