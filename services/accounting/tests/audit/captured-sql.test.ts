import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { newUserId } from '@tollgate/test-kit';
import pg from 'pg';
import { Accounting, type User } from '../accounting.ts';

// The database writes down every statement of an entrance, those inside of functions too: what guards a write must stand before it,
// in the same transaction. New entrances fail here until they have a line of their own.

let accounting: Accounting;
let alice: User;
let client: pg.Client;
const said: string[] = [];
beforeAll(async () => {
  accounting = await Accounting.start();
  alice = await accounting.user({ credits: 1000 });
  client = new pg.Client({ connectionString: accounting.env['DATABASE_OWNER_URL'] });
  client.on('notice', ({ message }) => {
    const [, text] = /Query Text: ([\s\S]*?)\n[^\n]*\(cost=/.exec(message ?? '') ?? [];
    if (text !== undefined) said.push(text.replaceAll(/\s+/g, ' ').trim());
  });
  await client.connect();
  await client.query("LOAD 'auto_explain'");
  for (const [name, value] of [
    ['auto_explain.log_min_duration', '0'],
    ['auto_explain.log_nested_statements', 'on'],
    ['auto_explain.log_level', 'notice'],
    ['client_min_messages', 'notice'],
  ])
    await client.query(`SELECT set_config($1, $2, false)`, [name, value]);
});
afterAll(async () => {
  await client.end();
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const TABLES =
  'user_accounts|credit_allocations|streaming_sessions|hold_lots|credit_transactions|credit_entries|usage_logs|ledger_heads|ledger_head_leaves';
const WRITE = new RegExp(`^(INSERT INTO|UPDATE|DELETE FROM) (${TABLES})\\b`);

/** What an entrance did, in order, in one transaction that is not undone. Its own statement comes last. */
async function captured(statement: string, values: unknown[] = []): Promise<string[]> {
  said.length = 0;
  await client.query('BEGIN');
  await client.query(statement, values);
  await client.query('COMMIT');
  return said.filter((text) => WRITE.test(text) || /FOR (NO KEY )?UPDATE|pg_advisory_xact_lock/.test(text));
}

const record = (type: string, value: object) =>
  [`jsonb_populate_record(NULL::ledger.${type}, $1)`, JSON.stringify(value)] as const;
const call = (name: string, type: string, value: object) => {
  const [argument, json] = record(type, value);
  return captured(`SELECT * FROM ledger.${name}(${argument})`, [json]);
};

const claims = () => ({ id: alice.userId, role: 'enduser' });
const line = { flat: 0, base: 0, slope: 1, divisor: 1 };
const holdRequest = (holdId: string) => ({
  hold_id: holdId,
  claims: claims(),
  opened_by: 'chat-proxy',
  open_key: holdId,
  open_hash: 'h',
  upstream: 'openai',
  model: 'priced',
  units: { output: 5 },
  line,
  output: 5,
  lease_seconds: 60,
  actor: 'test',
});
/** An open hold of a service. */
async function held(): Promise<string> {
  const holdId = randomUUID();
  await captured('SELECT * FROM ledger.open_holds($1, true)', [JSON.stringify([holdRequest(holdId)])]);
  return holdId;
}
const lot = () => accounting.grant(alice, { credits: 7 });

const ACCOUNT = /FROM user_accounts WHERE .*FOR NO KEY UPDATE/;
const HOLD = /FROM streaming_sessions WHERE .*FOR UPDATE/;
const OPEN_HOLD_ONLY = /^UPDATE streaming_sessions SET .*WHERE id = .* AND status = 'active' AND fence <= /;

/**
 * How each entrance is called so that it writes, and what must stand before its first write (or be it). isLoop: the lock is taken by
 * the query of the loop around the writes, which the database writes down when the loop has ended.
 */
const ENTRANCES: Record<string, { guard: RegExp; isLoop?: boolean; run: () => Promise<string[]> }> = {
  touch_account: {
    guard: ACCOUNT,
    run: () =>
      call('touch_account', 'account_claims', { ...claims(), username: 'new', issued_at: new Date().toISOString() }),
  },
  open_account: {
    // Nobody can lock a row that is not there: one statement inserts it unless the id or the address is taken.
    guard: /pg_advisory_xact_lock/,
    run: () => {
      const id = newUserId();
      return call('open_account', 'account_claims', {
        id,
        username: id,
        email: `${id}@example.test`,
        role: 'enduser',
      });
    },
  },
  grant_credits: {
    guard: ACCOUNT,
    run: () =>
      call('grant_credits', 'lot_request', {
        user_id: alice.userId,
        source: 'admin',
        credits: 5,
        expiry_days: 1,
        actor: 'test',
      }),
  },
  revoke_lot: {
    guard: ACCOUNT,
    run: async () => captured("SELECT * FROM ledger.revoke_lot($1, 'test', 'x', 'r')", [await lot()]),
  },
  expire_lots: {
    guard: ACCOUNT,
    isLoop: true,
    async run() {
      const id = await lot();
      await client.query(
        "UPDATE credit_allocations SET effective_at = now() - interval '2 days', expires_at = now() - interval '1 day' WHERE id = $1",
        [id],
      );
      return captured('SELECT * FROM ledger.expire_lots(10)');
    },
  },
  adjust_credits: {
    guard: ACCOUNT,
    run: () =>
      call('adjust_credits', 'adjustment_request', { user_id: alice.userId, change: -3, actor: 'test', reason: 'x' }),
  },
  open_holds: {
    guard: ACCOUNT,
    run: () => captured('SELECT * FROM ledger.open_holds($1, true)', [JSON.stringify([holdRequest(randomUUID())])]),
  },
  extend_hold: {
    guard: ACCOUNT,
    run: async () =>
      call('extend_hold', 'extension_request', {
        hold_id: await held(),
        user_id: alice.userId,
        opened_by: 'chat-proxy',
        fence: 1,
        units: { output: 9 },
        line,
        output: 9,
        actor: 'test',
      }),
  },
  renew_holds: {
    guard: OPEN_HOLD_ONLY,
    run: async () =>
      captured('SELECT * FROM ledger.renew_holds($1, 60)', [
        JSON.stringify([{ hold_id: await held(), user_id: alice.userId, opened_by: 'chat-proxy', fence: 1 }]),
      ]),
  },
  close_holds: {
    guard: HOLD,
    run: async () =>
      captured('SELECT * FROM ledger.close_holds($1, true)', [
        JSON.stringify([
          {
            hold_id: await held(),
            user_id: alice.userId,
            opened_by: 'chat-proxy',
            cause: 'settle',
            charge: 3,
            outcome: 'completed',
            units: { output: 3 },
            close_key: 'k',
            close_hash: 'h',
            policy: 'absorb',
            actor: 'test',
          },
        ]),
      ]),
  },
  deduct_credits: {
    guard: ACCOUNT,
    async run() {
      const [argument, json] = record('hold_request', { ...holdRequest(randomUUID()), opened_by: 'user' });
      return captured(`SELECT * FROM ledger.deduct_credits(${argument}, 5, 'x')`, [json]);
    },
  },
  append_head: {
    guard: /pg_advisory_xact_lock/,
    async run() {
      const { rows } = await client.query(
        "SELECT number + 1 AS number, '\\x' || encode(hash, 'hex') AS previous FROM ledger_heads ORDER BY number DESC LIMIT 1",
      );
      const bytes = `\\x${'0'.repeat(64)}`;
      const { previous = '\\x', number = 1 } = rows[0] ?? {};
      // A head that nobody has signed is none.
      return withoutHead(() =>
        call('append_head', 'head_request', {
          number,
          taken_at: new Date().toISOString(),
          previous_hash: previous,
          root: bytes,
          transactions: 1,
          hash: bytes,
          key_id: 'x',
          signature: bytes,
          scan_from: 0,
          last_id: 0,
          next_xid: 0,
          user_ids: [alice.userId],
          seqs: [1],
        }),
      );
    },
  },
};

/** Runs an entrance and removes the head that it left. */
async function withoutHead(run: () => Promise<string[]>): Promise<string[]> {
  const statements = await run();
  await client.query("SET session_replication_role = 'replica'");
  await client.query('DELETE FROM ledger_head_leaves; DELETE FROM ledger_heads');
  await client.query('RESET session_replication_role');
  return statements;
}

describe('every entrance', () => {
  it('is looked at here', async () => {
    const { rows } = await client.query(
      "SELECT proname FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace AND prosecdef ORDER BY 1",
    );
    expect(rows.map(({ proname }) => proname)).toEqual(Object.keys(ENTRANCES).sort());
  });

  it.each(Object.keys(ENTRANCES))(
    '%s locks what it decides on before its first write, in the same transaction',
    async (name) => {
      const { guard, isLoop, run } = ENTRANCES[name] ?? { guard: /-/, isLoop: false, run: () => Promise.resolve([]) };
      const statements = await run();
      const firstWrite = statements.findIndex((text) => WRITE.test(text));
      const firstGuard = statements.findIndex((text) => guard.test(text));
      expect({
        name,
        statements,
        writes: firstWrite >= 0,
        isGuarded: firstGuard >= 0 && (firstGuard <= firstWrite || isLoop === true),
      }).toMatchObject({
        writes: true,
        isGuarded: true,
      });
    },
  );

  it('is not taken for guarded by a test that would believe anything: a write without a lock is noticed', async () => {
    const statements = await captured('UPDATE user_accounts SET username = username WHERE id = $1', [alice.userId]);
    expect(statements.some((text) => WRITE.test(text))).toBe(true);
    expect(statements.some((text) => ACCOUNT.test(text))).toBe(false);
  });
});
