import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import pg from 'pg';

import { startPostgres } from '../src/index.ts';
import type { DevDatabase, StartOptions } from '../src/index.ts';
import { startEmbeddedPostgres } from '../src/postgres.ts';
import { freePort, isRunning } from '../src/processes.ts';
import { expectAllEnd, startElsewhere } from './starter.ts';

const GUARD_MS = 15_000;

let folder: string;
let started: DevDatabase[];
let table: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-postgres-'));
});

beforeEach(() => {
  started = [];
  table = `t${crypto.randomUUID().replaceAll('-', '')}`;
});

afterEach(() => Promise.all(started.map((database) => database.stop())));

afterAll(() => rm(folder, { recursive: true, force: true }));

async function start(options: Partial<StartOptions> = {}): Promise<DevDatabase> {
  const database = await startEmbeddedPostgres({ dataDir: folder, durable: false, env: process.env, ...options });
  started.push(database);
  return database;
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query({ text, rowMode: 'array' })).rows.flat();
  } finally {
    await client.end();
  }
}

it('keeps data and password across a stop and a start', async () => {
  const first = await start();
  await query(first.url, `CREATE TABLE ${table} AS SELECT 7 AS n`);
  await first.stop();
  const second = await start();
  expect(new URL(second.url).password).toBe(new URL(first.url).password);
  expect(await query(second.url, `SELECT n FROM ${table}`)).toEqual([7]);
});

it('gives a database whose user may create others, with room for many connections', async () => {
  const { url, engine } = await start();
  expect(engine).toMatch(/^PostgreSQL \d+/);
  await query(url, `CREATE DATABASE ${table}`);
  expect(await query(url, 'SHOW max_connections')).toEqual(['300']);
});

it('writes through to the disk only when it is asked to be durable', async () => {
  const throwaway = await start();
  expect(
    await query(throwaway.url, "SELECT setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes')"),
  ).toEqual(['off', 'off']);
  await throwaway.stop();
  const durable = await start({ durable: true });
  expect(
    await query(durable.url, "SELECT setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes')"),
  ).toEqual(['on', 'on']);
});

it('ends its processes when stopped, twice if need be', async () => {
  const database = await start();
  expect(await isRunning(database.pids[0] ?? 0)).toBe(true);
  await Promise.all([database.stop(), database.stop()]);
  expect(await isRunning(database.pids[0] ?? 0)).toBe(false);
  await expect(query(database.url, 'SELECT 1')).rejects.toThrow('ECONNREFUSED');
});

it('takes over the folder of a process that was killed, with its data and without its server', async () => {
  const killed = await startElsewhere('postgres', folder, 'durable');
  await query(killed.url, `CREATE TABLE ${table} AS SELECT 7 AS n`);
  await killed.kill();
  expect(await isRunning(killed.pids[0] ?? 0)).toBe(true);
  const database = await start({ durable: true });
  expect(await query(database.url, `SELECT n FROM ${table}`)).toEqual([7]);
  await expectAllEnd(killed.pids, GUARD_MS);
});

it('recovers when the server itself was killed', async () => {
  const killed = await start({ durable: true });
  await query(killed.url, `CREATE TABLE ${table} AS SELECT 7 AS n`);
  process.kill(killed.pids[0] ?? 0, 'SIGKILL');
  await killed.stop();
  const database = await start({ durable: true });
  expect(await query(database.url, `SELECT n FROM ${table}`)).toEqual([7]);
});

it('leaves no throwaway server behind when its process is killed', async () => {
  const killed = await startElsewhere('postgres', folder, 'throwaway');
  await killed.kill();
  await expectAllEnd(killed.pids, GUARD_MS);
});

it('listens on the port it is given, again and again', async () => {
  const port = await freePort();
  for (let round = 0; round < 2; round += 1) {
    const database = await start({ port });
    expect(new URL(database.url).port).toBe(String(port));
    await database.stop();
  }
});

it('refuses a folder that is in use and leaves its server alone', async () => {
  const { url } = await start();
  await expect(start()).rejects.toThrow(`in use by process ${process.pid}`);
  expect(await query(url, 'SELECT 1')).toEqual([1]);
});

it('uses DATABASE_URL when there is one and never stops it', async () => {
  const own = await start();
  const lent = await startPostgres({ dataDir: join(folder, 'unused'), durable: false, env: { DATABASE_URL: own.url } });
  expect(lent).toMatchObject({ url: own.url, pids: [] });
  await lent.stop();
  expect(await query(own.url, 'SELECT 1')).toEqual([1]);
});

it('says so when nothing answers at DATABASE_URL instead of quietly using another database', async () => {
  const url = `postgres://nobody@127.0.0.1:${await freePort()}/none`;
  await expect(startPostgres({ dataDir: folder, durable: false, env: { DATABASE_URL: url } })).rejects.toThrow(
    'DATABASE_URL',
  );
});

it('keeps the password out of the reach of other accounts', async () => {
  const { url } = await start();
  const files = await Promise.all(
    ['password', 'postgres.log'].map((name) => readFile(join(folder, 'postgres-18', name), 'utf8')),
  );
  expect(files[0]).toBe(new URL(url).password);
  expect(files[1]).not.toContain(files[0]);
});
