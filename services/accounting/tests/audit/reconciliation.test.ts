import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';

let accounting: Accounting;
let alice: User;
let openHold: string;
let closedHold: string;
beforeAll(async () => {
  accounting = await Accounting.start();
  alice = await accounting.user({ credits: 100 });
  closedHold = await accounting.held(alice, 20);
  await accounting.settle(alice, closedHold, 15);
  openHold = await accounting.held(alice, 10);
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

type Run = {
  is_full: boolean;
  offenders: string;
  checks: { invariant: string; offenders: number; first: Record<string, unknown> | null }[];
};
const lastRun = async (): Promise<Run> => {
  const { rows } = await accounting.db.query<Run>('SELECT * FROM reconciliation_runs ORDER BY id DESC LIMIT 1');
  return rows[0] as Run;
};
const drifts = async (): Promise<Record<string, number>> => {
  const text = await accounting.first.deps.metrics.text();
  return Object.fromEntries(
    [...text.matchAll(/^tollgate_ledger_drift\{invariant="(I\d)".* (\d+)$/gm)].map(([, name, value]) => [
      name,
      Number(value),
    ]),
  );
};

/** What a superuser changes with all triggers off. */
async function forge(statement: string): Promise<void> {
  const client = await accounting.db.connect();
  try {
    await client.query("SET session_replication_role = 'replica'");
    expect((await client.query(statement)).rowCount).toBe(1);
  } finally {
    await client.query('RESET session_replication_role');
    client.release();
  }
}

const DRIFTS: readonly [string, string[], (by: string) => string][] = [
  [
    'the balance of an account',
    ['I1', 'I8'],
    (by) => `UPDATE user_accounts SET total_credits = total_credits ${by} WHERE id = '${alice.userId}'`,
  ],
  [
    'a lot',
    ['I8'],
    (by) =>
      `UPDATE credit_allocations SET remaining_credits = remaining_credits ${by}, total_credits = total_credits ${by} WHERE user_id = '${alice.userId}'`,
  ],
  [
    'an open hold',
    ['I3'],
    (by) => `UPDATE streaming_sessions SET held_credits = held_credits ${by} WHERE id = '${openHold}'`,
  ],
  [
    'what a hold has of a lot',
    ['I8'],
    (by) => `UPDATE hold_lots SET held_credits = held_credits ${by} WHERE hold_id = '${openHold}'`,
  ],
  [
    'a ledger entry',
    ['I1', 'I2', 'I9'],
    (by) =>
      `UPDATE credit_entries SET amount = amount ${by} WHERE account LIKE '%:available' AND transaction_id = (SELECT id FROM credit_transactions WHERE hold_id = '${openHold}')`,
  ],
  [
    'the revenue of a charge',
    ['I2', 'I5', 'I9'],
    (by) =>
      `UPDATE credit_entries SET amount = amount ${by} WHERE account = 'revenue' AND transaction_id IN (SELECT id FROM credit_transactions WHERE hold_id = '${closedHold}')`,
  ],
  ['a usage row', ['I6'], (by) => `UPDATE usage_logs SET credits = credits ${by} WHERE hold_id = '${closedHold}'`],
];

describe('a reconciliation', () => {
  it.each(DRIFTS)(
    'finds a drift of one credit in %s in one run, after a run that was clean',
    async (_what, invariants, change) => {
      await accounting.flows.reconcile();
      expect((await lastRun()).offenders).toBe('0');
      expect(Math.max(...Object.values(await drifts()))).toBe(0);
      await forge(change('+ 1'));
      await accounting.flows.reconcile();
      const run = await lastRun();
      const found = run.checks.filter(({ offenders }) => offenders > 0);
      expect([...new Set(found.map(({ invariant }) => invariant))]).toEqual(invariants);
      for (const { first } of found)
        expect(JSON.stringify(first)).toMatch(new RegExp(`${alice.userId}|transaction_id`));
      const told = await drifts();
      expect(Object.keys(told).filter((name) => told[name] !== 0)).toEqual(invariants);
      await forge(change('- 1'));
    },
  );

  it('finds each of them too when the ledger is long and only what has changed since the last run is read', async () => {
    // As if there were many transactions.
    await accounting.db.query("SELECT setval('credit_transactions_id_seq', 1000000)");
    await accounting.flows.reconcile({ fullEveryMs: 0 });
    expect(await lastRun()).toMatchObject({ is_full: true });
    for (const [what, , change] of DRIFTS) {
      // The rows of the long history are found by full runs; these belong to what is new.
      closedHold = await accounting.held(alice, 6);
      await accounting.settle(alice, closedHold, 5);
      openHold = await accounting.held(alice, 2);
      await accounting.flows.reconcile({ fullEveryMs: 60_000 });
      expect([what, (await lastRun()).is_full, (await lastRun()).offenders]).toEqual([what, false, '0']);
      await forge(change('+ 1'));
      await accounting.flows.reconcile({ fullEveryMs: 60_000 });
      expect([what, Number((await lastRun()).offenders) > 0]).toEqual([what, true]);
      await forge(change('- 1'));
    }
  });

  it('is done by one of three instances at a time, and a recent one counts for all', async () => {
    const runs = () => accounting.number('SELECT count(*) AS value FROM reconciliation_runs');
    const before = await runs();
    const instances = [accounting.first, await accounting.another(), await accounting.another()];
    await Promise.all(instances.map(({ deps }) => deps.flows.reconcile({ youngestMs: 60_000 })));
    expect(await runs()).toBe(before);
  });

  it('tells the log what it found, once', async () => {
    await forge(`UPDATE usage_logs SET credits = credits + 1 WHERE hold_id = '${closedHold}'`);
    await accounting.flows.reconcile();
    await accounting.flows.reconcile({ youngestMs: 60_000 });
    expect(await accounting.first.deps.metrics.text()).toMatch(/tollgate_ledger_drift_total\{invariant="I6".*\} \d+/);
    await forge(`UPDATE usage_logs SET credits = credits - 1 WHERE hold_id = '${closedHold}'`);
  });

  it('keeps no hold waiting while it reads, and leaves the reading to whoever is at it', async () => {
    const runs = () => accounting.number('SELECT count(*) AS value FROM reconciliation_runs');
    const reader = await accounting.db.connect();
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await reader.query(
      "SELECT pg_advisory_xact_lock(hashtextextended('reconcile', 1)), (SELECT count(*) FROM ledger.verify_chain)",
    );
    const before = await runs();
    const began = performance.now();
    const holdId = await accounting.held(alice, 2);
    await accounting.settle(alice, holdId, 1);
    await accounting.flows.reconcile();
    expect([await runs(), performance.now() - began < 1000]).toEqual([before, true]);
    await reader.query('COMMIT');
    reader.release();
    await accounting.flows.reconcile();
    expect(await runs()).toBe(before + 1);
  });
});
