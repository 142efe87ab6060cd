import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type pg from 'pg';
import { checkInvariants } from '../../src/store/audit/ledger-audit.ts';
import type { Query } from '../../src/store/postgres.ts';
import { Accounting } from '../harness/accounting.ts';

// What a superuser can still do with all triggers switched off, at a random place; each try is rolled back.

let accounting: Accounting;
beforeAll(async () => {
  accounting = await Accounting.start();
  for (let n = 0; n < 4; n += 1) {
    const user = await accounting.user({ credits: 200 });
    for (let round = 1; round <= 4; round += 1)
      await accounting.settle(user, await accounting.held(user, 20 + round), 10 + round + n);
  }
  await accounting.flows.takeHead();
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

type Row = { id: number; user_id: string; account_seq: number };
type Fault = { invariant: string; title: string; first: Record<string, unknown> };

/** What verification says about books that `tamper` has changed. */
async function faultsAfter(place: number, tamper: (client: pg.PoolClient, rows: Row[], at: number) => Promise<void>) {
  const client = await accounting.db.connect();
  const query: Query = async <T>(sql: string, values: readonly unknown[] = []) =>
    (await client.query(sql, [...values])).rows as T[];
  try {
    await client.query("BEGIN; SET LOCAL session_replication_role = 'replica'");
    const rows = await query<Row>(
      'SELECT id::int, user_id, account_seq::int FROM credit_transactions ORDER BY user_id, account_seq',
    );
    await tamper(client, rows, place % rows.length);
    const faults = (await checkInvariants(query, {}, true)).filter(({ offenders }) => Number(offenders) > 0) as Fault[];
    return { faults, rows, row: rows[place % rows.length] as Row };
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}

const chainFault = ({ faults }: { faults: Fault[] }) => faults.find(({ title }) => title.includes('hash chain'))?.first;
const anchorFault = ({ faults }: { faults: Fault[] }) =>
  faults.find(({ title }) => title.includes('signed head'))?.first;

const anywhere = fc.nat(10_000);
const often = { numRuns: 25 };

const COLUMNS: readonly [string, string][] = [
  ['tenant_id', "tenant_id || 'x'"],
  ['type', "CASE type WHEN 'hold' THEN 'extend' ELSE 'hold' END"],
  ['available_change', 'available_change + 1'],
  ['held_change', 'held_change - 1'],
  ['debt_change', 'debt_change + 1'],
  ['available_after', 'available_after + 1'],
  ['held_after', 'held_after + 1'],
  ['debt_after', 'debt_after + 1'],
  ['hold_id', 'gen_random_uuid()'],
  ['allocation_id', 'coalesce(allocation_id, 0) + 1'],
  ['corrects_id', 'id'],
  ['actor', "actor || ' '"],
  ['reason', "coalesce(reason, '') || 'x'"],
  ['request_id', "CASE WHEN request_id IS NULL THEN '' END"],
  ['created_at', "created_at + interval '1 microsecond'"],
  ['hash', 'sha256(hash)'],
];

describe('verification names', () => {
  it('the transaction of which any column was edited, wherever it is', async () => {
    await fc.assert(
      fc.asyncProperty(anywhere, fc.constantFrom(...COLUMNS), async (place, [column, value]) => {
        const found = await faultsAfter(place, async (client, rows, at) => {
          const { rowCount } = await client.query(
            `UPDATE credit_transactions SET ${column} = ${value} WHERE id = $1 AND ${column} IS DISTINCT FROM ${value}`,
            [rows[at]?.id],
          );
          fc.pre(rowCount === 1);
        });
        // A new hash of one row no longer fits itself, whatever follows it.
        expect(chainFault(found)).toMatchObject({ transaction_id: found.row.id, user_id: found.row.user_id });
      }),
      { numRuns: 60 },
    );
  });

  it('the transaction of which entries were edited, moved or added in pairs that still sum to 0', async () => {
    const edits = [
      'UPDATE credit_entries SET amount = amount + sign(amount) WHERE transaction_id = $1',
      "UPDATE credit_entries SET account = account || 'x' WHERE transaction_id = $1 AND entry_no = 1",
      'UPDATE credit_entries SET entry_no = entry_no + 1000 WHERE transaction_id = $1',
      "INSERT INTO credit_entries SELECT $1, 100 + n, 'revenue', CASE n WHEN 1 THEN 5 ELSE -5 END FROM generate_series(1, 2) n",
      'DELETE FROM credit_entries WHERE transaction_id = $1',
    ];
    await fc.assert(
      fc.asyncProperty(anywhere, fc.constantFrom(...edits), async (place, edit) => {
        const found = await faultsAfter(place, async (client, rows, at) => {
          await client.query(edit, [rows[at]?.id]);
        });
        expect(chainFault(found)).toMatchObject({ transaction_id: found.row.id, user_id: found.row.user_id });
      }),
      often,
    );
  });

  it('the transaction that was written in between or at the end', async () => {
    await fc.assert(
      fc.asyncProperty(anywhere, async (place) => {
        const found = await faultsAfter(place, async (client, rows, at) => {
          // Later ones make room, as far as the sequence goes; their hashes do not.
          const columns = [rows[at]?.user_id, rows[at]?.account_seq];
          await client.query(
            'UPDATE credit_transactions SET account_seq = account_seq + 1000000 WHERE user_id = $1 AND account_seq > $2',
            columns,
          );
          await client.query(
            'UPDATE credit_transactions SET account_seq = account_seq - 999999 WHERE user_id = $1 AND account_seq > 1000000',
            columns.slice(0, 1),
          );
          await client.query(
            `INSERT INTO credit_transactions (id, tenant_id, user_id, account_seq, type, available_change, held_change, debt_change,
               available_after, held_after, debt_after, actor, created_at, prev_hash, hash) OVERRIDING SYSTEM VALUE
             SELECT 1000000, tenant_id, user_id, account_seq + 1, 'grant', 5, 0, 0, available_after + 5, held_after, debt_after, 'x', created_at, hash, sha256(hash)
             FROM credit_transactions WHERE id = $1`,
            [rows[at]?.id],
          );
          await client.query(
            "INSERT INTO credit_entries VALUES (1000000, 1, 'issuance:admin', -5), (1000000, 2, 'user:x', 5)",
          );
        });
        expect(found.faults.find(({ title }) => title.includes('hash chain'))?.first).toMatchObject({
          user_id: found.row.user_id,
        });
      }),
      often,
    );
  });

  it('the place where a transaction was deleted', async () => {
    await fc.assert(
      fc.asyncProperty(anywhere, async (place) => {
        const found = await faultsAfter(place, async (client, rows, at) => {
          await client.query('DELETE FROM credit_entries WHERE transaction_id = $1', [rows[at]?.id]);
          await client.query('DELETE FROM credit_transactions WHERE id = $1', [rows[at]?.id]);
        });
        const { rows, row } = found;
        const next = rows.find(
          ({ user_id, account_seq }) => user_id === row.user_id && account_seq === row.account_seq + 1,
        );
        expect(chainFault(found)).toMatchObject(
          next
            ? { transaction_id: next.id, user_id: row.user_id, fault: 'sequence' }
            : { user_id: row.user_id, fault: 'head', account_seq: row.account_seq },
        );
      }),
      often,
    );
  });

  it('one of two transactions that changed places', async () => {
    await fc.assert(
      fc.asyncProperty(anywhere, async (place) => {
        const found = await faultsAfter(place, async (client, rows, at) => {
          const [row, next] = [rows[at], rows[at + 1]];
          fc.pre(row !== undefined && next?.user_id === row.user_id);
          const move = (id: number | undefined, seq: number | undefined) =>
            client.query('UPDATE credit_transactions SET account_seq = $2 WHERE id = $1', [id, seq]);
          await move(row?.id, 1_000_000);
          await move(next?.id, row?.account_seq);
          await move(row?.id, next?.account_seq);
        });
        expect(chainFault(found)).toMatchObject({ user_id: found.row.user_id });
      }),
      often,
    );
  });

  it('the account whose last transactions were cut off, also when the account was rewound to match', async () => {
    await fc.assert(
      fc.asyncProperty(anywhere, fc.boolean(), async (place, isRewound) => {
        const found = await faultsAfter(place, async (client, rows, at) => {
          const [user, seq] = [rows[at]?.user_id, rows[at]?.account_seq];
          await client.query(
            'DELETE FROM credit_entries WHERE transaction_id IN (SELECT id FROM credit_transactions WHERE user_id = $1 AND account_seq >= $2)',
            [user, seq],
          );
          await client.query('DELETE FROM credit_transactions WHERE user_id = $1 AND account_seq >= $2', [user, seq]);
          if (!isRewound) return;
          await client.query(
            `UPDATE user_accounts a SET ledger_seq = coalesce(t.account_seq, 0), ledger_hash = coalesce(t.hash, ''),
               total_credits = coalesce(t.available_after, 0), held_credits = coalesce(t.held_after, 0), debt_credits = 0
             FROM (SELECT) one LEFT JOIN credit_transactions t ON t.user_id = $1 AND t.account_seq = $2 WHERE a.id = $1`,
            [user, (seq ?? 0) - 1],
          );
        });
        expect(anchorFault(found)).toMatchObject({ user_id: found.row.user_id, fault: 'missing' });
        const { user_id, fault } = chainFault(found) ?? {};
        expect([user_id, fault]).toEqual(isRewound ? [undefined, undefined] : [found.row.user_id, 'head']);
      }),
      often,
    );
  });

  // In the place of foreign keys (migration 0022).
  it.each([
    ['the user of a hold', "UPDATE streaming_sessions SET user_id = repeat('f', 24)"],
    ['the payer of a hold', "UPDATE streaming_sessions SET payer_id = repeat('f', 24)"],
    ['the account of a transaction', "UPDATE credit_transactions SET user_id = repeat('f', 24)"],
    ['the hold that took from a lot', 'UPDATE hold_lots SET hold_id = gen_random_uuid()'],
    ['the lot that a hold took from', 'UPDATE hold_lots SET allocation_id = allocation_id + 1000000'],
  ])('%s that is not there', async (missing, edit) => {
    const { faults } = await faultsAfter(0, async (client) => {
      const table = edit.split(' ')[1];
      await client.query(`${edit} WHERE ctid = (SELECT max(ctid) FROM ${table})`);
    });
    const found = faults.filter(({ title }) => title.includes('belong to what is there'));
    expect(found).toMatchObject([{ offenders: '1', first: { missing } }]);
  });

  it('the account whose whole chain was written anew with hashes that fit', async () => {
    await fc.assert(
      fc.asyncProperty(anywhere, async (place) => {
        const found = await faultsAfter(place, async (client, rows, at) => {
          const user = rows[at]?.user_id;
          await client.query("UPDATE credit_transactions SET actor = 'somebody else' WHERE id = $1", [rows[at]?.id]);
          await client.query(REWRITE, [user]);
        });
        expect(chainFault(found)).toBeUndefined();
        expect(anchorFault(found)).toMatchObject({ user_id: found.row.user_id, fault: 'rewritten' });
      }),
      often,
    );
  });
});

const REWRITE = `WITH RECURSIVE chain AS (
    SELECT t.id, 1::bigint AS seq, '\\x'::bytea AS prev, ledger.ledger_hash(jsonb_populate_record(t, '{"prev_hash": "\\\\x"}'), e.accounts, e.amounts) AS hash
    FROM credit_transactions t, LATERAL (SELECT array_agg(account ORDER BY entry_no) AS accounts, array_agg(amount ORDER BY entry_no) AS amounts FROM credit_entries WHERE transaction_id = t.id) e
    WHERE t.user_id = $1 AND t.account_seq = 1
    UNION ALL
    SELECT t.id, c.seq + 1, c.hash, ledger.ledger_hash(jsonb_populate_record(t, jsonb_build_object('prev_hash', '\\x' || encode(c.hash, 'hex'))), e.accounts, e.amounts)
    FROM chain c JOIN credit_transactions t ON t.user_id = $1 AND t.account_seq = c.seq + 1,
      LATERAL (SELECT array_agg(account ORDER BY entry_no) AS accounts, array_agg(amount ORDER BY entry_no) AS amounts FROM credit_entries WHERE transaction_id = t.id) e
  ), moved AS (
    UPDATE credit_transactions t SET prev_hash = c.prev, hash = c.hash FROM chain c WHERE t.id = c.id RETURNING t.account_seq, t.hash
  )
  UPDATE user_accounts SET ledger_hash = (SELECT hash FROM moved ORDER BY account_seq DESC LIMIT 1) WHERE id = $1`;

it('a lot that was passed over, although all sums are right', async () => {
  const user = await accounting.user();
  const [soon, never] = [
    await accounting.grant(user, { credits: 100, days: 5 }),
    await accounting.grant(user, { credits: 100, days: null }),
  ];
  await accounting.settle(user, await accounting.held(user, 30), 10);
  const { faults } = await faultsAfter(0, async (client) => {
    const move = (lot: number, credits: number) =>
      client.query(
        'UPDATE credit_allocations SET consumed_credits = consumed_credits + $2, remaining_credits = remaining_credits - $2 WHERE id = $1',
        [lot, credits],
      );
    await client.query('UPDATE hold_lots SET allocation_id = $2 WHERE allocation_id = $1', [soon, never]);
    await move(soon, -10);
    await move(never, 10);
  });
  expect(faults).toMatchObject([
    {
      invariant: 'I8',
      title: 'Lots are spent in their order',
      first: { allocation_id: soon, spent_allocation_id: never },
    },
  ]);
});
