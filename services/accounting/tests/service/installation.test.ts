import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createPostgresDatabase, startChaosProxy } from '@tollgate/test-kit';
import pg from 'pg';
import { readAccountingConfig } from '../../src/config.ts';
import { runMigrations } from '../../src/store/migrate.ts';
import { openPostgres, troubleOf } from '../../src/store/postgres.ts';
import { Accounting } from '../harness/accounting.ts';

const SECRETS = {
  JWT_ACCESS_SECRET: `k1:${'Zm9vYmFy'.repeat(3)}Q9x7LwPz41mN`,
  JWT_SERVICE_SECRET: 'k1:uV3nR8sT2yB6wE0qK5hJ1dF7gA4cX9zL',
};

describe('the configuration', () => {
  it('takes the database as one address or in parts', () => {
    const parts = {
      ...SECRETS,
      DB_HOST: 'db.example.test',
      DB_NAME: 'ledger',
      DB_USER: 'app',
      DB_PASSWORD: 'p@ss/word',
    };
    const { database } = readAccountingConfig(parts);
    expect(database.url.reveal()).toBe('postgres://app:p%40ss%2Fword@db.example.test:5432/ledger');
    expect(() => readAccountingConfig(SECRETS)).toThrow('DATABASE_URL');
  });

  it('refuses one secret for users and services', () => {
    const same = {
      ...SECRETS,
      JWT_SERVICE_SECRET: SECRETS.JWT_ACCESS_SECRET,
      DATABASE_URL: 'postgres://db.example.test/x',
    };
    expect(() => readAccountingConfig(same)).toThrow('must differ');
  });
});

describe('migrations', () => {
  it('run once, whoever starts first', async () => {
    const database = await createPostgresDatabase();
    const taken = await Promise.all([
      runMigrations(database.url),
      runMigrations(database.url),
      runMigrations(database.url),
    ]);
    const files = (await readdir(new URL('../../src/store/migrations/', import.meta.url))).sort();
    const all = [...files, 'functions'];
    expect(taken.map((steps) => steps.length).sort((one, other) => one - other)).toEqual([0, 0, all.length]);
    expect(taken.flat()).toEqual(all);
    await database.drop();
  });

  it('make the functions anew when they have changed, and only then', async () => {
    const database = await createPostgresDatabase();
    const functions = (hash: string, sql: string) => ({ steps: [], functions: { name: 'functions', hash, sql } });
    const one = functions('a', 'CREATE FUNCTION answer() RETURNS int LANGUAGE sql RETURN 41');
    // Another type of answer, which CREATE OR REPLACE would refuse.
    const two = functions('b', "CREATE FUNCTION answer() RETURNS text LANGUAGE sql RETURN '42'");
    expect(await runMigrations(database.url, one)).toEqual(['functions']);
    expect(await runMigrations(database.url, one)).toEqual([]);
    expect(await runMigrations(database.url, two)).toEqual(['functions']);
    const broken = functions('c', 'SELECT 1/0');
    await expect(runMigrations(database.url, broken)).rejects.toThrow('division by zero');
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    expect((await client.query('SELECT ledger.answer()')).rows).toEqual([{ answer: '42' }]);
    await client.end();
    await database.drop();
  });

  it('tell of a connection that broke in the middle as of a database that is away, so that they are tried again', async () => {
    const database = await createPostgresDatabase();
    const dying = { name: '0001', hash: 'a', sql: 'SELECT pg_terminate_backend(pg_backend_pid())' };
    const fine = { name: 'functions', hash: 'f', sql: 'SELECT 1' };
    for (const schema of [
      { steps: [dying], functions: fine },
      { steps: [], functions: { ...dying, name: 'functions' } },
    ]) {
      const error = await runMigrations(database.url, schema).catch((thrown: unknown) => thrown);
      expect([troubleOf(error), String(error)]).toEqual(['unavailable', expect.stringContaining('terminat')]);
    }
    await database.drop();
  });

  it('refuse a step that was changed or is unknown, and take a failing one back whole', async () => {
    const database = await createPostgresDatabase();
    const step = (name: string, hash: string, sql: string) => ({ name, hash, sql });
    const first = step('0001', 'a', 'CREATE TABLE one (id int)');
    const functions = step('functions', 'f', 'SELECT 1');
    const run = (...steps: (typeof first)[]) => runMigrations(database.url, { steps, functions });
    await run(first);
    await expect(run({ ...first, hash: 'b' })).rejects.toThrow('was changed');
    await expect(run()).rejects.toThrow('newer');
    const broken = step('0002', 'c', 'CREATE TABLE two (id int); SELECT 1/0');
    await expect(run(first, broken)).rejects.toThrow();
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    expect((await client.query("SELECT to_regclass('two') AS two")).rows).toEqual([{ two: null }]);
    await client.end();
    await database.drop();
  });
});

describe('a transaction that PostgreSQL undid for another', () => {
  it('is repeated up to three times, with one effect', async () => {
    const database = await createPostgresDatabase();
    const postgres = openPostgres({ url: database.url, poolSize: 2, acquireMs: 30_000, onFault: () => undefined });
    // A sequence is the one thing that a rollback leaves as it is: it counts the tries.
    await postgres.query(`CREATE SEQUENCE tries`);
    await postgres.query(`CREATE TABLE effects (id int)`);
    await postgres.query(`CREATE FUNCTION luck(p_needed int) RETURNS void LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO effects VALUES (1);
        IF nextval('tries') % p_needed <> 0 THEN RAISE EXCEPTION 'again' USING ERRCODE = 'serialization_failure'; END IF;
      END $$`);
    await postgres.query('SELECT luck(4)');
    await postgres.transaction((query) => query('SELECT luck(4)'));
    expect(await postgres.query('SELECT * FROM effects')).toHaveLength(2);
    await expect(postgres.query('SELECT luck(1000)')).rejects.toMatchObject({ code: '40001' });
    expect(await postgres.query('SELECT last_value FROM tries')).toEqual([{ last_value: 12 }]);
    await postgres.close();
    await database.drop();
  });
});

describe('a connection that breaks while nobody uses it', () => {
  it('is told without what it is made of, which would fill the log', async () => {
    const database = await createPostgresDatabase();
    const cut = await startChaosProxy({ target: database.url });
    const told = Promise.withResolvers<Error>();
    const postgres = openPostgres({ url: cut.url, poolSize: 2, acquireMs: 30_000, onFault: told.resolve });
    await postgres.query('SELECT 1');
    cut.resetAll();
    expect(Object.keys(await told.promise)).not.toContain('client');
    await postgres.close();
    await cut.stop();
    await database.drop();
  });
});

describe('a database that is away', () => {
  let accounting: Accounting;
  let cut: Awaited<ReturnType<typeof startChaosProxy>>;
  beforeAll(async () => {
    const { port } = new URL(process.env['TEST_POSTGRES_URL'] ?? '');
    cut = await startChaosProxy({ target: Number(port) });
    accounting = await Accounting.start({}, { databasePort: cut.port });
  });
  afterAll(async () => {
    await accounting.stop();
    await cut.stop();
  });

  it('is a 503 with Retry-After within 2 s, and work goes on when it is back', async () => {
    const alice = await accounting.user({ credits: 10 });
    const holdId = await accounting.held(alice, 5);
    await cut.refuse(true);
    cut.resetAll();
    const start = performance.now();
    const [balance, settle, ready, live] = await Promise.all([
      accounting.call('GET', '/api/credits/balance', { token: alice.token }),
      accounting.settle(alice, holdId, 5, { key: 'k' }),
      accounting.call('GET', '/health/ready'),
      accounting.call('GET', '/health/live'),
    ]);
    expect([balance.status, settle.status, ready.status, live.status]).toEqual([503, 503, 503, 200]);
    expect([balance.body.code, balance.headers.get('retry-after')]).toEqual(['dependency_unavailable', '2']);
    // Two, and what a busy machine needs besides.
    expect(performance.now() - start).toBeLessThan(5000);
    await cut.refuse(false);
    await accounting.untilConnected();
    expect(await accounting.settle(alice, holdId, 5, { key: 'k' })).toMatchObject({
      status: 200,
      body: { chargedCredits: 5 },
    });
    expect(await accounting.balance(alice)).toEqual({ available: 5, held: 0 });
  });

  it('gives up a lock after 1 s: 503, and nothing has happened', async () => {
    const alice = await accounting.user({ credits: 10 });
    const client = await accounting.db.connect();
    await client.query('BEGIN');
    await client.query('SELECT FROM user_accounts WHERE id = $1 FOR UPDATE', [alice.userId]);
    const answer = await accounting.hold(alice, { output: 5 });
    await client.query('COMMIT');
    client.release();
    expect([answer.status, answer.body.code]).toEqual([503, 'dependency_unavailable']);
    expect(await accounting.balance(alice)).toEqual({ available: 10, held: 0 });
  });
});
