import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';

// What the database itself refuses, with the application out of the way: the statements run as the owner of the tables.

let accounting: Accounting;
let alice: User;
let holdId: string;
beforeAll(async () => {
  accounting = await Accounting.start();
  alice = await accounting.user({ credits: 100 });
  holdId = await accounting.held(alice, 40);
  await accounting.settle(alice, holdId, 30);
  await accounting.held(alice, 5);
});
afterAll(() => accounting.stop());

const sql = (statement: string, values: unknown[] = []) => accounting.db.query(statement, values);

describe('the database', () => {
  it.each([
    ['an edited transaction', "UPDATE credit_transactions SET reason = 'better'"],
    ['a deleted transaction', 'DELETE FROM credit_transactions'],
    ['an edited entry', 'UPDATE credit_entries SET amount = amount + 1'],
    ['a deleted entry', 'DELETE FROM credit_entries'],
    ['an emptied ledger', 'TRUNCATE credit_transactions, credit_entries CASCADE'],
    ['a deleted account', 'DELETE FROM user_accounts'],
    ['a deleted lot', 'DELETE FROM credit_allocations'],
    ['a deleted hold', 'DELETE FROM streaming_sessions'],
    ['another name of an account', "UPDATE user_accounts SET id = repeat('f', 24)"],
    ['another name of a lot', 'UPDATE credit_allocations SET id = DEFAULT'],
    ['another name of a hold', 'UPDATE streaming_sessions SET id = gen_random_uuid()'],
    ['an edited price', 'UPDATE price_rules SET free = true'],
    ['a deleted price', 'DELETE FROM price_rules'],
    ['a second end of a hold', "UPDATE streaming_sessions SET status = 'voided' WHERE status = 'settled'"],
    ['a reopened hold', "UPDATE streaming_sessions SET status = 'active', closed_at = NULL WHERE status = 'settled'"],
    [
      'another charge of a closed hold',
      "UPDATE streaming_sessions SET charged_credits = 1, released_credits = 39 WHERE status = 'settled'",
    ],
  ])('refuses %s', async (_what, statement) => {
    await expect(sql(statement)).rejects.toMatchObject({ code: '23001' });
  });

  it.each([
    ['a negative balance', 'UPDATE user_accounts SET total_credits = -1'],
    ['a balance beyond 2^53-1', 'UPDATE user_accounts SET total_credits = 9007199254740992'],
    [
      'a hold that was charged more than it held and the balance gave',
      "UPDATE streaming_sessions SET status = 'settled', closed_at = now(), charged_credits = held_credits + 1 WHERE status = 'active'",
    ],
    ['a lot that does not add up', 'UPDATE credit_allocations SET remaining_credits = remaining_credits + 1'],
    ['a lot with less than nothing', 'UPDATE credit_allocations SET remaining_credits = -1, consumed_credits = 101'],
    [
      'a charge above the hold that nobody paid',
      `INSERT INTO streaming_sessions (id, user_id, payer_id, opened_by, open_key, open_hash, held_credits, lease_expires_at, created_at, status, closed_at, charged_credits)
       SELECT gen_random_uuid(), user_id, user_id, 'x', 'x', 'x', 10, now(), now(), 'settled', now(), 11 FROM streaming_sessions LIMIT 1`,
    ],
    [
      'a price below nothing',
      `INSERT INTO price_rules (upstream, version, valid_from, mode, unit_prices, created_by) VALUES ('x', 1, now(), 'metered', '{"output": -1}', 'x')`,
    ],
    [
      'an absurd price',
      `INSERT INTO price_rules (upstream, version, valid_from, mode, unit_prices, created_by) VALUES ('x', 1, now(), 'metered', '{"output": 1000000001}', 'x')`,
    ],
  ])('refuses %s', async (_what, statement) => {
    await expect(sql(statement)).rejects.toMatchObject({ code: '23514' });
  });

  it('refuses a transaction whose entries do not sum to 0, at its commit', async () => {
    const client = await accounting.db.connect();
    try {
      await client.query('BEGIN');
      await client.query(
        `INSERT INTO credit_transactions (user_id, account_seq, type, available_change, held_change, debt_change, available_after,
           held_after, debt_after, actor, created_at, prev_hash, hash)
         VALUES ($1, 1000, 'grant', 5, 0, 0, 5, 0, 0, 'x', now(), '', '')`,
        [alice.userId],
      );
      await client.query(
        "INSERT INTO credit_entries SELECT max(id), 1, 'user:x:available', 5 FROM credit_transactions",
      );
      await client.query("INSERT INTO credit_entries SELECT max(id), 2, 'issuance:admin', -4 FROM credit_transactions");
      await expect(client.query('COMMIT')).rejects.toMatchObject({ code: '23514' });
    } finally {
      client.release();
    }
  });

  it('refuses an entry that is added to an old transaction', async () => {
    await expect(
      sql("INSERT INTO credit_entries SELECT min(id), 9, 'revenue', 1 FROM credit_transactions"),
    ).rejects.toMatchObject({ code: '23514' });
  });

  it('refuses a transaction without entries', async () => {
    const copy = `INSERT INTO credit_transactions (user_id, account_seq, type, available_change, held_change, debt_change, available_after,
      held_after, debt_after, actor, created_at, prev_hash, hash) SELECT user_id, 2000, type, 0, 0, 0, 0, 0, 0, 'x', now(), '', ''
      FROM credit_transactions LIMIT 1`;
    await expect(sql(copy)).rejects.toMatchObject({ code: '23514' });
  });
});

describe('verification', () => {
  const forged = async (...statements: string[]) => {
    const client = await accounting.db.connect();
    try {
      // What a superuser can still do.
      await client.query("SET session_replication_role = 'replica'");
      for (const statement of statements) await client.query(statement);
      return ((await accounting.faults()) as { invariant: string; first: Record<string, unknown> }[]).map(
        ({ invariant, first }) => ({ invariant, first }),
      );
    } finally {
      await client.query('RESET session_replication_role');
      client.release();
    }
  };

  it('finds nothing in books that are right', async () => {
    const admin = await accounting.user({ role: 'admin' });
    const { body } = accounting.expect(
      200,
      await accounting.call('GET', '/api/credits/ledger/verify', { token: admin.token }),
    );
    expect(body['ok']).toBe(true);
  });

  it('finds a drift of one credit on an account and names it', async () => {
    const faults = await forged(
      `UPDATE user_accounts SET total_credits = total_credits + 1 WHERE id = '${alice.userId}'`,
    );
    expect(faults.map(({ invariant }) => invariant)).toEqual(['I1', 'I8']);
    expect(faults[0]?.first).toMatchObject({ user_id: alice.userId, total_credits: 66, available_entries: 65 });
    await forged(`UPDATE user_accounts SET total_credits = total_credits - 1 WHERE id = '${alice.userId}'`);
  });

  it('case 59: finds an edited row by its hash, and names the row', async () => {
    const { rows } = await sql(
      "SELECT id::int, reason FROM credit_transactions WHERE hold_id = $1 AND type = 'settle'",
      [holdId],
    );
    const faults = await forged(`UPDATE credit_transactions SET reason = 'nicer' WHERE id = ${rows[0]?.id}`);
    expect(faults).toMatchObject([{ invariant: 'I9', first: { transaction_id: rows[0]?.id, fault: 'hash' } }]);
    await forged(`UPDATE credit_transactions SET reason = NULL WHERE id = ${rows[0]?.id}`);
  });

  it('finds a cut tail by the head of the account', async () => {
    const tail = `SELECT max(id) FROM credit_transactions WHERE user_id = '${alice.userId}'`;
    const faults = await forged(
      `DELETE FROM credit_entries WHERE transaction_id = (${tail})`,
      `DELETE FROM credit_transactions WHERE id = (${tail})`,
    );
    expect(faults.find(({ invariant }) => invariant === 'I9')?.first).toMatchObject({
      user_id: alice.userId,
      fault: 'head',
    });
  });
});
