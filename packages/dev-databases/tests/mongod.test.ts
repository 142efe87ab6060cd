import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, expect, it } from '@jest/globals';

import { Unavailable } from '../src/dev-database.ts';
import { startMongod } from '../src/mongod.ts';
import { isRunning } from '../src/processes.ts';

let folder: string;
let binary: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-mongod-'));
  binary = join(folder, 'mongod');
  const program = fileURLToPath(new URL('fake-mongod.ts', import.meta.url));
  const command = `exec "${process.execPath}" --disable-warning=ExperimentalWarning "${program}" "$@"`;
  await writeFile(binary, `#!/bin/sh\n${command}\n`);
  await chmod(binary, 0o755);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const start = (name: string, env: Record<string, string | undefined> = {}) =>
  startMongod({ dataDir: join(folder, name), durable: false, env: { ...process.env, ...env } }, binary, 'test');

const memberOf = async (name: string): Promise<string> =>
  JSON.parse(await readFile(join(folder, name, 'mongod/data/config.json'), 'utf8')).members[0].host;

it('makes a replica set of one and follows it to another port', async () => {
  const hosts: string[] = [];
  for (let round = 0; round < 2; round += 1) {
    const database = await start('moves');
    expect(database).toMatchObject({ engine: 'MongoDB 8.0.4 (test)', pids: [expect.any(Number)] });
    const { host, searchParams } = new URL(database.url.replace('mongodb:', 'http:'));
    expect(searchParams.get('replicaSet')).toBe('tollgate');
    expect(await memberOf('moves')).toBe(host);
    hosts.push(host);
    await database.stop();
    expect(await isRunning(database.pids[0] ?? 0)).toBe(false);
  }
  expect(new Set(hosts).size).toBe(2);
});

it('says at once that a mongod has given up, so that another way can be tried', async () => {
  await expect(start('fails', { FAKE_MONGOD: 'fails' })).rejects.toThrow(Unavailable);
});

it('does not take another way when the data is there but mongod gives up', async () => {
  await (await start('kept')).stop();
  const attempt = start('kept', { FAKE_MONGOD: 'fails' });
  await expect(attempt).rejects.toThrow('mongod did not start: it ended at once');
  await expect(attempt).rejects.not.toThrow(Unavailable);
});

it('passes over a program that does not run on this machine', async () => {
  const broken = join(folder, 'broken');
  await writeFile(broken, '#!/bin/sh\necho "error while loading shared libraries" >&2\nexit 127\n', { mode: 0o755 });
  const attempt = startMongod({ dataDir: folder, durable: false, env: process.env }, broken, 'test');
  await expect(attempt).rejects.toThrow('error while loading shared libraries');
  await expect(attempt).rejects.toThrow(Unavailable);
});
