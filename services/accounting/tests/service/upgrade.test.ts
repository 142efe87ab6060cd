import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { runMigrations, type Schema } from '../../src/store/migrate.ts';
import { Accounting, type User } from '../harness/accounting.ts';

let accounting: Accounting;
let users: readonly User[];
let schema: Schema;
beforeAll(async () => {
  accounting = await Accounting.start();
  users = await Promise.all(Array.from({ length: USERS }, () => accounting.user({ credits: 100_000 })));
  schema = await schemaOf(accounting);
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const USERS = 8;
const UPGRADES = 6;
const FUNCTIONS = new URL('../../src/store/functions/', import.meta.url);

async function schemaOf({ db }: Accounting): Promise<Schema> {
  const { rows } = await db.query<{ name: string; hash: string }>('SELECT name, hash FROM schema_migrations');
  const names = (await readdir(FUNCTIONS)).sort();
  const texts = await Promise.all(names.map((name) => readFile(new URL(name, FUNCTIONS), 'utf8')));
  const steps = rows.filter(({ name }) => name !== 'functions').map((row) => ({ ...row, sql: '' }));
  return { steps, functions: { name: 'functions', hash: '', sql: texts.join('\n') } };
}

/** As a newer version does it, while this one goes on. */
function upgrade(): Promise<string[]> {
  const { DATABASE_OWNER_URL: owner = '', DATABASE_URL: own = '' } = accounting.env;
  const functions = { ...schema.functions, hash: randomUUID() };
  return runMigrations(owner, { ...schema, functions }, new URL(own).username);
}

const FIGURES = { held: 0, settled: 0, later: 0 };

/** One answer after the other; a call that is told to come later comes again. Gives what nobody should be told. */
async function answer(user: User, counts: typeof FIGURES): Promise<string[]> {
  const holdId = randomUUID();
  for (const [what, call] of [
    ['held', () => accounting.hold(user, { output: 5 }, { holdId, key: `hold ${holdId}` })],
    ['settled', () => accounting.settle(user, holdId, 3, { key: `settle ${holdId}` })],
  ] as const) {
    let told = await call();
    for (; told.status === 503; told = await call()) counts.later += 1;
    if (told.status >= 300) return [`${what} ${told.status} ${told.body['code']}`];
    counts[what] += 1;
  }
  const { status } = await accounting.call('GET', '/api/credits/balance', { token: user.token });
  return status === 200 || status === 503 ? [] : [`balance ${status}`];
}

it('the version before serves on while the functions of the ledger are made anew under it, again and again', async () => {
  let isOver = false;
  const counts = { ...FIGURES };
  const wrong: string[] = [];
  const traffic = Promise.all(
    users.map(async (user) => {
      while (!isOver) wrong.push(...(await answer(user, counts)));
    }),
  );
  for (let n = 0; n < UPGRADES; n += 1) expect(await upgrade()).toEqual(['functions']);
  isOver = true;
  await traffic;
  process.stdout.write(`${UPGRADES} upgrades: ${JSON.stringify(counts)}\n`);
  expect(wrong).toEqual([]);
  expect(counts.settled).toBe(counts.held);
  const spent = await accounting.number('SELECT sum(charged_credits) AS value FROM streaming_sessions');
  expect(spent).toBe(3 * counts.settled);
}, 120_000);

it('two new versions that come at once, with a step to take, take it once, and the version before serves on', async () => {
  const name = '9000-a-step-of-a-newer-version';
  const sql =
    'CREATE TABLE step_of_a_newer_version (id bigint); ALTER TABLE tenants ADD COLUMN of_a_newer_version text';
  const newer: Schema = {
    steps: [...schema.steps, { name, hash: randomUUID(), sql }],
    functions: { ...schema.functions, hash: randomUUID() },
  };
  const { DATABASE_OWNER_URL: owner = '', DATABASE_URL: own = '' } = accounting.env;
  let isOver = false;
  const counts = { ...FIGURES };
  const wrong: string[] = [];
  const traffic = Promise.all(
    users.map(async (user) => {
      while (!isOver) wrong.push(...(await answer(user, counts)));
    }),
  );
  const taken = await Promise.all([1, 2].map(() => runMigrations(owner, newer, new URL(own).username)));
  isOver = true;
  await traffic;
  expect(taken.toSorted((one, other) => other.length - one.length)).toEqual([[name, 'functions'], []]);
  expect(wrong).toEqual([]);
  expect(counts.settled).toBe(counts.held);
  expect(counts.held).toBeGreaterThan(0);
  schema = newer;
}, 120_000);

it('an upgrade waits for a long report without keeping anybody else waiting', async () => {
  const [alice] = users;
  const report = await accounting.db.connect();
  await report.query('BEGIN; SELECT count(*) FROM ledger.verify_chain');
  const upgrading = upgrade();
  const counts = { ...FIGURES };
  for (let n = 0; n < 20; n += 1) expect(await answer(alice as User, counts)).toEqual([]);
  expect(counts).toEqual({ held: 20, settled: 20, later: 0 });
  await report.query('COMMIT');
  report.release();
  expect(await upgrading).toEqual(['functions']);
}, 120_000);

it('a role may call the new functions from the moment when they are there', async () => {
  const role = new URL(String(accounting.env['DATABASE_URL'])).username;
  const broken = {
    ...schema.functions,
    hash: randomUUID(),
    sql: `${schema.functions.sql}\nDROP FUNCTION grant_service`,
  };
  const owner = String(accounting.env['DATABASE_OWNER_URL']);
  await expect(runMigrations(owner, { ...schema, functions: broken }, role)).rejects.toThrow('grant_service');
  expect(await answer(users[0] as User, { ...FIGURES })).toEqual([]);
}, 60_000);
