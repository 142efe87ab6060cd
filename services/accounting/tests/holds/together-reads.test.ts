import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createPostgresDatabase, newUserId, type TestDatabase } from '@tollgate/test-kit';
import pg from 'pg';
import { runMigrations } from '../../src/store/migrate.ts';
import { ask, ending, opening } from './items.ts';

// As it is after an installation: a connection plans its statements while the tables are small, and goes on with them while they grow.

let database: TestDatabase;
let client: pg.Client;
beforeAll(async () => {
  database = await createPostgresDatabase();
  await runMigrations(database.url);
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

const people = Array.from({ length: 10 }, () => ({ userId: newUserId() }));

/** So many holds and their endings, of ten people in turn. */
async function turn(size: number): Promise<void> {
  const items = Array.from({ length: size }, (_, at) => ({
    user: people[at % people.length] ?? { userId: '' },
    id: randomUUID(),
  }));
  for (const [name, requests] of [
    ['open_holds', items.map(({ user, id }) => opening(user, id, 5))],
    ['close_holds', items.map(({ user, id }) => ending(user, id, 3))],
  ] as const)
    expect(new Set((await ask(client, name, requests)).map(({ outcome }) => outcome)).size).toBe(1);
}

/** Rows that this connection has read of tables, the checks at the commit included. */
async function readBy(work: () => Promise<void>): Promise<number> {
  // What the session has counted so far leaves the view.
  await client.query('SELECT pg_stat_force_next_flush()');
  await client.query('BEGIN');
  await work();
  await client.query('SET CONSTRAINTS ALL IMMEDIATE');
  const { rows } = await client.query<{ read: string }>(
    'SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) AS read FROM pg_stat_xact_user_tables',
  );
  await client.query('COMMIT');
  return Number(rows[0]?.read);
}

it('a batch of holds and endings reads no more rows when there are hundreds of holds more', async () => {
  for (const { userId } of people) {
    await client.query('SELECT ledger.insert_account(ROW($1, NULL, NULL, NULL, NULL)::ledger.account_claims)', [
      userId,
    ]);
    await client.query('SELECT ledger.grant_credits(jsonb_populate_record(NULL::ledger.lot_request, $1))', [
      JSON.stringify({ user_id: userId, source: 'admin', credits: 100_000, expiry_days: 30, actor: 'test' }),
    ]);
  }
  // Of tables this small the planner would rather read all.
  await client.query('ANALYZE');
  await turn(16);
  const few = await readBy(() => turn(16));
  for (let times = 0; times < 6; times += 1) await turn(100);
  expect(await readBy(() => turn(16))).toBeLessThan(few + 200);
});
