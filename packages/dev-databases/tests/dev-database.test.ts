import { expect, it } from '@jest/globals';

import { firstAvailable, once, Unavailable, within } from '../src/dev-database.ts';
import type { DevDatabase, Link } from '../src/dev-database.ts';

const options = { dataDir: '/nowhere', durable: false, env: {} };

const closed = (name: string, reason: string): Link => ({
  name,
  start: async () => {
    throw new Unavailable(`${reason}\nand much more`);
  },
});

const open = (engine: string, stop = async () => undefined as void): Link => ({
  name: engine,
  start: async (): Promise<DevDatabase> => ({ url: 'x://', engine, pids: [], stop }),
});

it('takes the first way that is open and says in one line each why the others were skipped', async () => {
  const said: string[] = [];
  const links = [closed('Docker', 'no engine'), open('first'), open('second')];
  const database = await firstAvailable(
    'Store',
    links,
    { ...options, onProgress: (text) => said.push(text) },
    'Do this.',
  );
  expect(database.engine).toBe('first');
  expect(said).toEqual(['Store: Docker skipped: no engine']);
});

it('lists every way and what can be done when none is open', async () => {
  const attempt = firstAvailable('Store', [closed('A', 'not here'), closed('B', 'not there')], options, 'Do this.');
  const words = 'No Store can be had on this machine.\n- A skipped: not here\n- B skipped: not there\nDo this.';
  await expect(attempt).rejects.toThrow(words);
});

it('does not put an empty database in the place of one that exists and fails', async () => {
  const broken = { name: 'broken', start: async () => Promise.reject(new Error('disk full')) };
  await expect(firstAvailable('Store', [broken, open('other')], options, '')).rejects.toThrow('disk full');
});

it('stops a database once however often it is asked', async () => {
  let stops = 0;
  const link = open('one', async () => {
    stops += 1;
  });
  const database = await firstAvailable('Store', [link], options, '');
  await Promise.all([database.stop(), database.stop()]);
  expect(stops).toBe(1);
});

it('gives up on what takes too long and hands over an answer that comes late', async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const late = Promise.withResolvers<string>();
  await expect(within(promise, 1, 'the answer', late.resolve)).rejects.toThrow('the answer took longer than 0.001 s');
  resolve('here');
  expect(await late.promise).toBe('here');
});

it('runs something once for all callers', async () => {
  let runs = 0;
  const act = once(async () => (runs += 1));
  expect(await Promise.all([act(), act()])).toEqual([1, 1]);
});
