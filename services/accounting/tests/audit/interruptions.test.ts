import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startChaosProxy } from '@tollgate/test-kit';
import { createOnce } from '../../src/flows/once.ts';
import { openModels } from '../../src/store/models.ts';
import { openPostgres, type Postgres, type Query } from '../../src/store/postgres.ts';
import { createTransaction } from '../../src/store/unit-of-work.ts';
import { Accounting, type User } from '../harness/accounting.ts';

let accounting: Accounting;
beforeAll(async () => {
  accounting = await Accounting.start();
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const url = () => String(accounting.env['DATABASE_URL']);
/** A connection like that of one more instance. */
const open = (): Postgres =>
  openPostgres({ url: url(), poolSize: 3, acquireMs: 1000, isPooled: accounting.isPooled, onFault: () => undefined });

describe('a reply that never arrives', () => {
  it('case 39: is given again to a retry with the same key, and the money has moved once', async () => {
    const wire = await startChaosProxy({ target: accounting.url });
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 50);
    const settle = () => accounting.settle(alice, holdId, 30, { key: 'once', url: `http://127.0.0.1:${wire.port}` });
    // The request passes, the first byte of its answer cuts the connection: it was written and never heard of.
    wire.resetAfter(1);
    await expect(settle()).rejects.toThrow();
    expect(await accounting.revenueOf(alice)).toBe(30);
    wire.resetAfter(undefined);
    expect(await settle()).toMatchObject({ status: 200, body: { chargedCredits: 30, availableCredits: 70 } });
    expect(await accounting.revenueOf(alice)).toBe(30);
    await wire.stop();
  });
});

describe('an accounting service that was away', () => {
  it('case 40: keeps a hold whose lease ended meanwhile until its settlement has come, and charges once', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 50);
    await accounting.renew(alice, holdId, { checkpoint: { output: 10 } });
    await accounting.advanceClock(10 / 60);
    const restarted = await accounting.another();
    await restarted.deps.start();
    const settle = () => accounting.settle(alice, holdId, 30, { key: 'from the outbox', url: restarted.url });
    const first = await settle();
    expect(first).toMatchObject({ status: 200, body: { status: 'settled', chargedCredits: 30 } });
    expect((await settle()).body).toEqual(first.body);
    await accounting.flows.sweepHolds();
    expect([await accounting.revenueOf(alice), await accounting.balance(alice)]).toEqual([
      30,
      { available: 70, held: 0 },
    ]);
  });
});

describe('a database that fails over', () => {
  const WRITTEN = [
    'user_accounts',
    'credit_allocations',
    'streaming_sessions',
    'hold_lots',
    'credit_transactions',
    'credit_entries',
    'usage_logs',
  ];

  /** The server ends the session that writes to this table, right after it was written to. */
  async function whileKilledAt(table: string, work: () => Promise<void>): Promise<void> {
    await accounting.db.query(`CREATE OR REPLACE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$`);
    await accounting.db.query(
      `CREATE TRIGGER zz_end_session AFTER INSERT OR UPDATE ON ${table} EXECUTE FUNCTION end_session()`,
    );
    try {
      await work();
    } finally {
      await accounting.db.query(`DROP TRIGGER zz_end_session ON ${table}; DROP FUNCTION end_session`);
    }
  }

  const books = async ({ userId }: User) => {
    const { rows } = await accounting.db.query(
      'SELECT total_credits, held_credits, ledger_seq, ledger_hash FROM user_accounts WHERE id = $1',
      [userId],
    );
    return rows;
  };

  it('case 41: leaves a settlement undone at whichever write it is cut off, and a retry settles once', async () => {
    for (const table of WRITTEN) {
      const alice = await accounting.user({ credits: 100 });
      const holdId = await accounting.held(alice, 50);
      const before = await books(alice);
      await whileKilledAt(table, async () => {
        const { status } = await accounting.settle(alice, holdId, 30, { key: 'k' });
        expect([table, status]).toEqual([table, 503]);
      });
      expect([table, await books(alice)]).toEqual([table, before]);
      await accounting.untilConnected();
      expect(await accounting.settle(alice, holdId, 30, { key: 'k' })).toMatchObject({
        status: 200,
        body: { chargedCredits: 30, availableCredits: 70 },
      });
      expect(await accounting.revenueOf(alice)).toBe(30);
    }
  });

  it('undoes a grant together with its key and answer at each statement, and grants once when it is repeated', async () => {
    const postgres = open();
    const alice = await accounting.user();
    const grant = {
      userId: alice.userId,
      source: 'admin',
      credits: 1,
      expiryDays: 1,
      actor: 'test',
      requestId: 'r',
    } as const;
    /** A grant whose session is ended before its statement number `at`, and two retries; undefined when it has fewer statements. */
    const cutOff = async (at: number) => {
      let count = 0;
      const end = async (pid: number | undefined) => {
        if (count++ === at) await accounting.db.query('SELECT pg_terminate_backend($1)', [pid]);
      };
      const cut = <T>(work: (query: Query) => Promise<T>) =>
        postgres.transaction(async (query) => {
          const [session] = await query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
          const result = await work(async (sql, values) => {
            await end(session?.pid);
            return query(sql, values);
          });
          // The last place is before the commit.
          await end(session?.pid);
          return result;
        });
      const once = createOnce({ transaction: createTransaction({ ...postgres, transaction: cut }) });
      const request = { caller: alice.userId, operation: 'test', key: `k${at}`, content: grant };
      const answer = once(request, (tx) => tx.grant(grant));
      const wasCut = await answer.then(
        () => false,
        () => true,
      );
      if (!wasCut) return undefined;
      const lots = await accounting.number('SELECT count(*) AS value FROM credit_allocations WHERE user_id = $1', [
        alice.userId,
      ]);
      const plain = createOnce({ transaction: createTransaction(postgres) });
      const retries = [await plain(request, (tx) => tx.grant(grant)), await plain(request, (tx) => tx.grant(grant))];
      return { lots, replayed: retries.map(({ replayed }) => replayed) };
    };
    let places = 0;
    for (let cut = await cutOff(0); cut; cut = await cutOff(places)) {
      expect(cut).toEqual({ lots: places, replayed: [false, true] });
      places += 1;
    }
    expect(places).toBeGreaterThan(5);
    expect(await accounting.balance(alice)).toEqual({ available: places + 1, held: 0 });
    await postgres.close();
  });
});

describe('clocks that differ by five minutes', () => {
  it('case 42: end leases and lots by the clock of the database alone, whichever of the two is ahead', async () => {
    for (const hours of [-5 / 60, 10 / 60]) {
      await accounting.advanceClock(hours);
      const alice = await accounting.user();
      const lot = await accounting.grant(alice, { credits: 100, days: 1 });
      const { body } = accounting.expect(201, await accounting.hold(alice, { output: 60 }));
      const ends = (column: string, table: string, id: unknown) =>
        accounting.number(
          `SELECT round(extract(epoch FROM ${column} - ledger_now())) AS value FROM ${table} WHERE id = $1`,
          [id],
        );
      const [lease, expiry] = [
        await ends('lease_expires_at', 'streaming_sessions', body['holdId']),
        await ends('expires_at', 'credit_allocations', lot),
      ];
      expect([Math.abs(60 - lease) <= 5, Math.abs(86_400 - expiry) <= 5]).toEqual([true, true]);
      const status = async () => (await accounting.proxy('GET', `/api/holds/${body['holdId']}`, alice)).body['status'];
      await accounting.flows.sweepHolds();
      expect(await status()).toBe('active');
      await accounting.advanceClock(61 / 3600);
      await accounting.flows.sweepHolds();
      expect([await status(), await accounting.balance(alice)]).toEqual(['expired', { available: 100, held: 0 }]);
    }
  });
});

describe('a reader', () => {
  it('case 60: sees available + held + consumed + expired + revoked = granted in every snapshot during 1,000 settlements', async () => {
    const lanes = 20;
    const alice = await accounting.user({ credits: 1000 });
    await accounting.grant(alice, { credits: 50, days: 1 });
    let isRunning = true;
    let snapshots = 0;
    const reader = (async () => {
      const broken: unknown[] = [];
      for (; isRunning; snapshots += 1) {
        const { rows } = await accounting.db.query(
          `SELECT a.total_credits, a.held_credits, l.* FROM user_accounts a, LATERAL (
             SELECT sum(remaining_credits) AS remaining, sum(held_credits) AS held, sum(consumed_credits + expired_credits + revoked_credits) AS gone,
                    sum(total_credits) AS granted FROM credit_allocations WHERE user_id = a.id) l, LATERAL (
             SELECT coalesce(sum(held_credits) FILTER (WHERE status = 'active'), 0) AS open, coalesce(sum(charged_credits), 0) AS charged
             FROM streaming_sessions WHERE user_id = a.id) h
           WHERE a.id = $1 AND (a.total_credits + a.held_credits + l.gone <> l.granted OR a.total_credits <> l.remaining
             OR a.held_credits <> l.held OR h.open <> a.held_credits OR l.granted <> 1050)`,
          [alice.userId],
        );
        broken.push(...rows);
      }
      return broken;
    })();
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        for (let n = 0; n < 1000 / lanes; n += 1) {
          const holdId = await accounting.held(alice, 1);
          accounting.expect(200, await accounting.settle(alice, holdId, 1));
        }
      }),
    );
    isRunning = false;
    expect(await reader).toEqual([]);
    expect(snapshots).toBeGreaterThan(50);
    expect(await accounting.balance(alice)).toEqual({ available: 50, held: 0 });
  });
});

describe('the connections of the service', () => {
  const LIMITS = ['lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout'];
  const limitsOn = async (query: Query) => {
    const values: unknown[] = [];
    for (const name of LIMITS) values.push(...Object.values((await query<object>(`SHOW ${name}`))[0] ?? {}));
    return values;
  };

  it('each end a wait for a lock, a statement and an idle transaction', async () => {
    const { isPooled } = accounting;
    const postgres = open();
    const models = openModels({ url: url(), poolSize: 1, acquireMs: 1000, isPooled });
    const report: Query = async <T>(sql: string) => (await models.sequelize.query(sql, { type: 'SELECT' })) as T[];
    expect(await limitsOn(postgres.query)).toEqual(['1500ms', '3s', '10s']);
    expect(await postgres.transaction(limitsOn)).toEqual(['1500ms', '3s', '10s']);
    expect(await postgres.snapshot(limitsOn)).toEqual(['1500ms', '2min', '10s']);
    // Behind a pooler those of lists and reports are the role's own (docs/scaling.md).
    expect(await limitsOn(report)).toEqual(isPooled ? ['0', '0', '0'] : ['1500ms', '3s', '10s']);
    await models.sequelize.close();
    await postgres.close();
  });

  it('repeat what PostgreSQL undid for a deadlock: two instances that lock two accounts crosswise both succeed', async () => {
    const [one, other] = [open(), open()];
    const users = await Promise.all([accounting.user({ credits: 1 }), accounting.user({ credits: 1 })]);
    const ids = users.map(({ userId }) => userId);
    let tries = 0;
    let waiting = 0;
    const crosswise = (postgres: Postgres, order: (string | undefined)[]) =>
      postgres.transaction(async (query) => {
        tries += 1;
        await query(
          'SELECT FROM ledger.revoke_lot((SELECT min(id) FROM credit_allocations WHERE user_id = $1), $2, $2, $2)',
          [order[0], 'test'],
        );
        waiting += 1;
        // Until both have their first lock; a repetition finds it so.
        while (waiting < 2) await pause(1);
        await query(
          'SELECT FROM ledger.revoke_lot((SELECT min(id) FROM credit_allocations WHERE user_id = $1), $2, $2, $2)',
          [order[1], 'test'],
        );
      });
    await Promise.all([crosswise(one, ids), crosswise(other, ids.toReversed())]);
    expect(tries).toBeGreaterThan(2);
    for (const user of users) expect(await accounting.balance(user)).toEqual({ available: 0, held: 0 });
    await Promise.all([one.close(), other.close()]);
  });
});
