import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';

import { takeLock, withLock } from '../src/locks.ts';

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-locks-'));
});

beforeEach(() => {
  file = join(folder, crypto.randomUUID(), 'lock');
});

afterAll(() => rm(folder, { recursive: true, force: true }));

it('is held by one at a time and leaves nothing behind', async () => {
  const first = await takeLock(file);
  expect(await takeLock(file)).toEqual({ heldBy: process.pid });
  if ('release' in first) await first.release();
  expect(await readdir(join(file, '..'))).toEqual([]);
  expect(await takeLock(file)).toHaveProperty('release');
});

it('passes to the next one when its holder is dead, or only shares its number', async () => {
  const first = await takeLock(file);
  const written = await readFile(file, 'utf8');
  for (const stale of [written.replace(/^\d+/, '2147483647'), written.replace(/ \S+ /, ' 1 '), 'rubbish', '']) {
    await writeFile(file, stale);
    const next = await takeLock(file);
    expect(next).toHaveProperty('release');
  }
  if ('release' in first) await first.release();
  expect(await takeLock(file)).toEqual({ heldBy: process.pid });
});

it('lets waiting ones through one after the other', async () => {
  let inside = 0;
  let most = 0;
  const turn = async () => {
    inside += 1;
    most = Math.max(most, inside);
    await readdir(folder);
    inside -= 1;
  };
  const wait = { timeoutMs: 20_000, onWait: () => undefined };
  await Promise.all(Array.from({ length: 5 }, () => withLock(file, wait, turn)));
  expect(most).toBe(1);
});

it('tells who holds it to the one who waits in vain', async () => {
  await takeLock(file);
  const seen: number[] = [];
  const attempt = withLock(file, { timeoutMs: 1, onWait: (pid) => seen.push(pid) }, async () => undefined);
  await expect(attempt).rejects.toThrow(`Process ${process.pid} still holds`);
  expect(seen).toEqual([process.pid]);
});
