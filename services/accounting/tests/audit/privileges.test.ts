import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { startInstance } from '../harness/instance.ts';
import { Accounting } from '../harness/accounting.ts';

// The statements run as the role of the service, with nothing of the service between them and the database.

let accounting: Accounting;
let role: pg.Client;
let tables: string[];
/** What the role may write itself, and how. */
let sideTables: Map<string, string[]>;
beforeAll(async () => {
  accounting = await Accounting.start();
  role = new pg.Client({ connectionString: accounting.env['DATABASE_URL'] });
  await role.connect();
  const { rows } = await accounting.db.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1");
  tables = rows.map(({ tablename }) => tablename);
  const side = await accounting.db.query('SELECT name, privileges FROM ledger.side_tables');
  sideTables = new Map(side.rows.map(({ name, privileges }) => [name, privileges.split(', ')]));
  const alice = await accounting.user({ credits: 100 });
  await accounting.settle(alice, await accounting.held(alice, 40), 30);
  await accounting.held(alice, 10);
});
afterAll(async () => {
  await role.end();
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

/** The SQLSTATE with which the role is refused; 'done' if it is not. */
async function tried(statement: string, client: pg.Client = role): Promise<string> {
  await client.query('BEGIN');
  try {
    await client.query(statement);
    return 'done';
  } catch (error) {
    return String(Object(error).code);
  } finally {
    await client.query('ROLLBACK');
  }
}

const PERMISSION_DENIED = '42501';

/** One statement of each kind that changes something, made from the catalogue so that it fits every table. */
const writes = async (table: string): Promise<[string, string][]> => {
  const { rows } = await accounting.db.query(
    "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = '' AND attgenerated = '' ORDER BY attnum",
    [table],
  );
  const columns: string[] = rows.map(({ attname }) => attname);
  const all = columns.map((name) => `"${name}"`).join(', ');
  return [
    ['INSERT', `INSERT INTO ${table} (${all}) SELECT ${all} FROM ${table} LIMIT 1`],
    ...columns.map((name): [string, string] => [`UPDATE (${name})`, `UPDATE ${table} SET "${name}" = "${name}"`]),
    ['DELETE', `DELETE FROM ${table}`],
    ['TRUNCATE', `TRUNCATE ${table} CASCADE`],
    ['ALTER', `ALTER TABLE ${table} ADD COLUMN x int`],
    ['ALTER', `ALTER TABLE ${table} DISABLE TRIGGER ALL`],
    ['DROP', `DROP TABLE ${table} CASCADE`],
    ['TRIGGER', `CREATE TRIGGER x BEFORE INSERT ON ${table} EXECUTE FUNCTION refuse_change()`],
    ['LOCK', `LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`],
  ];
};

describe('the role of the service', () => {
  it('is neither the owner nor a superuser, and reads every table', async () => {
    expect((await role.query('SELECT * FROM ledger.excessive_privileges')).rows).toEqual([]);
    for (const table of tables) expect([table, await tried(`SELECT * FROM ${table} LIMIT 1`)]).toEqual([table, 'done']);
  });

  it('is refused every write of every table but the few that say nothing about who owns what', async () => {
    expect(tables).toEqual(
      expect.arrayContaining(['user_accounts', 'credit_transactions', 'credit_entries', ...sideTables.keys()]),
    );
    const allowed: string[] = [];
    for (const table of tables)
      for (const [kind, statement] of await writes(table)) {
        const [privilege = kind] = kind.split(' (');
        if (sideTables.get(table)?.some((may) => may === kind || may === privilege)) continue;
        const state = await tried(statement);
        // Locking is part of UPDATE, DELETE or TRUNCATE.
        if (state !== PERMISSION_DENIED && !(kind === 'LOCK' && sideTables.has(table)))
          allowed.push(`${state}: ${statement}`);
      }
    expect(allowed).toEqual([]);
  });

  it('marks what happened as told, and never changes what happened', async () => {
    expect(sideTables.get('outbox')).toEqual(['UPDATE (routed_at)', 'DELETE']);
    expect(await tried('UPDATE outbox SET routed_at = routed_at')).toBe('done');
    for (const column of ['payload', 'type', 'user_id', 'created_at'])
      expect([column, await tried(`UPDATE outbox SET ${column} = ${column}`)]).toEqual([column, PERMISSION_DENIED]);
  });

  it('is found out when it may write a column more', async () => {
    const name = new URL(String(accounting.env['DATABASE_URL'])).username;
    const found = async () =>
      (await role.query('SELECT kind, what FROM ledger.excessive_privileges ORDER BY what')).rows;
    await accounting.db.query(
      `GRANT UPDATE (payload) ON outbox TO "${name}"; GRANT INSERT (id) ON user_accounts TO "${name}"`,
    );
    expect(await found()).toEqual([
      { kind: 'column', what: 'outbox.payload: UPDATE' },
      { kind: 'column', what: 'user_accounts.id: INSERT' },
    ]);
    await accounting.db.query(`GRANT UPDATE ON outbox TO "${name}"`);
    expect(await found()).toContainEqual({ kind: 'table', what: 'outbox: UPDATE' });
    await accounting.migrateAgain();
    expect(await found()).toEqual([]);
  });

  it('cannot take a guard away: no trigger, no replication role, no function, no role, no other owner', async () => {
    const { rows } = await accounting.db.query(
      `SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) AS statement FROM pg_trigger WHERE NOT tgisinternal
       UNION ALL SELECT format('DROP ROUTINE %s CASCADE', oid::regprocedure) FROM pg_proc WHERE pronamespace IN ('public'::regnamespace, 'ledger'::regnamespace)
       UNION ALL SELECT format('DROP VIEW %s CASCADE', oid::regclass) FROM pg_class WHERE relnamespace = 'ledger'::regnamespace AND relkind = 'v'`,
    );
    const owner = new URL(String(accounting.env['DATABASE_OWNER_URL'])).username;
    const statements = [
      ...rows.map(({ statement }) => String(statement)),
      "SET session_replication_role = 'replica'",
      'CREATE FUNCTION ledger.x() RETURNS int LANGUAGE sql RETURN 1',
      'CREATE FUNCTION public.x() RETURNS int LANGUAGE sql RETURN 1',
      'CREATE TABLE public.x (id int)',
      'CREATE SCHEMA x',
      'DROP SCHEMA ledger CASCADE',
      'CREATE ROLE x SUPERUSER',
      `SET ROLE "${owner}"`,
      `ALTER ROLE "${owner}" PASSWORD 'x'`,
      "SELECT ledger.grant_service('x')",
      "SELECT nextval('credit_transactions_id_seq')",
      "SELECT pg_read_file('PG_VERSION')",
      "COPY (SELECT 1) TO PROGRAM 'true'",
    ];
    const allowed: string[] = [];
    for (const statement of statements) {
      const state = await tried(statement);
      if (state !== PERMISSION_DENIED) allowed.push(`${state}: ${statement}`);
    }
    expect(allowed).toEqual([]);
  });

  it('moves the clock of the ledger by no statement, and by no setting', async () => {
    const client = new pg.Client({ connectionString: accounting.env['DATABASE_URL'] });
    await client.connect();
    const SHIFTED = "RETURNS timestamptz LANGUAGE sql AS $$ SELECT now() + interval '1 day' $$";
    const { rows: mine } = await client.query('SELECT current_database() AS database, current_user AS me');
    const { database, me } = mine[0] ?? {};
    for (const statement of [
      `CREATE OR REPLACE FUNCTION public.ledger_now() ${SHIFTED}`,
      `CREATE FUNCTION ledger.ledger_now() ${SHIFTED}`,
      `CREATE FUNCTION public.clock_timestamp() ${SHIFTED}`,
      "ALTER FUNCTION public.ledger_now() SET timezone = 'Asia/Tokyo'",
      'DROP FUNCTION public.ledger_now() CASCADE',
      `ALTER DATABASE ${database} SET tollgate.clock_shift = '1 day'`,
      `ALTER ROLE "${me}" IN DATABASE ${database} SET tollgate.clock_shift = '1 day'`,
    ])
      expect([statement, await tried(statement, client)]).toEqual([
        statement,
        expect.stringMatching(/^(42501|42883)$/),
      ]);
    // What it is allowed to do moves nothing.
    for (const statement of [
      "SET tollgate.clock_shift = '1 day'",
      `CREATE FUNCTION pg_temp.ledger_now() ${SHIFTED}`,
      `CREATE FUNCTION pg_temp.clock_timestamp() ${SHIFTED}`,
      'SET search_path = pg_temp, ledger, public, pg_catalog',
      "SET timezone = 'Asia/Tokyo'",
    ])
      await client.query(statement);
    await client.query('BEGIN');
    const { rows: emitted } = await client.query(
      "SELECT ledger.emit_event('default', 'credits.low', NULL, '{}', NULL) AS id",
    );
    const { rows } = await client.query(
      `SELECT abs(extract(epoch FROM public.ledger_now() - pg_catalog.clock_timestamp()))::float8 AS asked,
              abs(extract(epoch FROM created_at - pg_catalog.clock_timestamp()))::float8 AS booked FROM public.outbox WHERE id = $1`,
      [emitted[0]?.id],
    );
    await client.query('ROLLBACK');
    await client.end();
    expect(rows).toEqual([{ asked: expect.closeTo(0, 0), booked: expect.closeTo(0, 0) }]);
  });

  it('calls the entrances and nothing beneath them', async () => {
    const { rows } = await role.query(
      `SELECT oid::regprocedure::text AS name, prosecdef, provolatile = 'v' AND NOT prosecdef AS is_inner,
              has_function_privilege(oid, 'EXECUTE') AS may
       FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace`,
    );
    expect(rows.filter(({ is_inner, may }) => is_inner === may)).toEqual([]);
    expect(rows.filter(({ prosecdef }) => prosecdef).length).toBeGreaterThan(9);
  });

  it('closes nothing by a request that the service would not make, and corrects no balance by nothing', async () => {
    const alice = await accounting.user({ credits: 1000 });
    const holdId = await accounting.held(alice, 40);
    const good = {
      hold_id: holdId,
      user_id: alice.userId,
      opened_by: 'chat-proxy',
      cause: 'settle',
      charge: 30,
      outcome: 'completed',
      units: { output: 30 },
      policy: 'absorb',
      actor: 'test',
    };
    const INVALID_PARAMETER = '22023';
    for (const bad of [
      { opened_by: null, cause: null, charge: 500 },
      { opened_by: null, cause: 'nonsense', charge: 500 },
      { opened_by: null, charge: 500 },
      { opened_by: null, cause: 'void', charge: 0 },
      { cause: null },
      { cause: 'nonsense' },
      { cause: 'sweep' },
      { cause: 'void' },
      { policy: null },
      { policy: 'nonsense' },
      { charge: null },
      { charge: -1 },
    ]) {
      const request = JSON.stringify([{ ...good, ...bad }]);
      for (const mayWait of [true, false])
        expect([bad, await tried(`SELECT ledger.close_holds('${request}', ${mayWait})`)]).toEqual([
          bad,
          INVALID_PARAMETER,
        ]);
    }
    const adjustment = JSON.stringify({ user_id: alice.userId, actor: 'test', reason: 'x' });
    for (const change of ['{}', '{"change": 1, "target": 5}'])
      expect([
        change,
        await tried(
          `SELECT ledger.adjust_credits(jsonb_populate_record(NULL::ledger.adjustment_request, '${adjustment}'::jsonb || '${change}'))`,
        ),
      ]).toEqual([change, INVALID_PARAMETER]);
    expect(await accounting.balance(alice)).toEqual({ available: 960, held: 40 });
    expect(await tried(`SELECT ledger.close_holds('${JSON.stringify([good])}', true)`)).toBe('done');
  });

  it('is let in again, as exactly that, by every migration', async () => {
    const name = new URL(String(accounting.env['DATABASE_URL'])).username;
    await accounting.db.query(`GRANT UPDATE ON user_accounts TO "${name}"`);
    expect(await tried('UPDATE user_accounts SET username = username')).toBe('done');
    await accounting.migrateAgain();
    expect(await tried('UPDATE user_accounts SET username = username')).toBe(PERMISSION_DENIED);
  });
});

describe('a service in production', () => {
  const readiness = async (env: Record<string, string>) => {
    const instance = await startInstance({
      ...accounting.env,
      NODE_ENV: 'production',
      RATE_LIMITS: 'true',
      AUTH_API_URL: 'http://127.0.0.1:9',
      ...env,
    });
    try {
      const response = await fetch(`${instance.url}/health/ready`);
      return [response.status, (await response.json()) as unknown];
    } finally {
      await instance.stop();
    }
  };

  it('is ready as a role that can only call the entrances', async () => {
    expect(await readiness({})).toMatchObject([200, { checks: { privileges: 'ok' } }]);
  });

  it('is not ready as the owner of the schema', async () => {
    const owner = String(accounting.env['DATABASE_OWNER_URL']);
    expect(await readiness({ DATABASE_URL: owner })).toMatchObject([
      503,
      { checks: { privileges: 'failed', schema: 'ok' } },
    ]);
  });
});
