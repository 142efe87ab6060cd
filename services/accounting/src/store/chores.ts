import type { Chores, LedgerCheck } from '../ports.ts';
import type { Postgres, Query } from './postgres.ts';

/** The views of functions/10-verify.sql, each with the invariant whose offenders it lists. */
const CHECKS = [
  ['I1', 'Balances are the sums of their ledger entries', 'verify_projection'],
  ['I2', 'Every transaction has two or more entries that sum to 0', 'verify_balanced'],
  ['I3', 'What is held is the sum of the open holds, and nothing is negative', 'verify_held'],
  ['I4', 'Every closed hold was closed by one transaction', 'verify_terminal'],
  ['I5', 'The revenue of a hold is its charge', 'verify_charge'],
  ['I6', 'Every closed hold has one usage row, and usage is the charge', 'verify_usage'],
  ['I6', 'The sums of every day are those of its usage rows', 'verify_daily'],
  ['I7', 'No idempotency key is left without an answer', 'verify_keys'],
  ['I8', 'Balances are the sums of their lots', 'verify_lots'],
  ['I8', 'What is held of a lot is the sum of its open holds', 'verify_hold_lots'],
  ['I9', 'The hash chain of every account is whole', 'verify_chain'],
] as const;

/** What runs beside the requests: verification and the bookings of the clock. */
export function createChores({ query, slow, snapshot, transaction }: Postgres): Chores {
  return {
    verifyLedger: () =>
      snapshot(async (read) => {
        const checks: LedgerCheck[] = [];
        for (const [invariant, title, view] of CHECKS)
          checks.push({ invariant, title, ...(await offendersOf(read, view)) });
        const [row] = await read<{ now: Date }>('SELECT ledger_now() AS now');
        return { checkedAt: row?.now ?? new Date(0), checks };
      }),
    async expireLots(accounts) {
      const [row] = await query<{ lots: number }>('SELECT ledger.expire_lots($1) AS lots', [accounts]);
      return row?.lots ?? 0;
    },
    async forgetAnswers(seconds, limit) {
      const gone = await query(
        `DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM idempotency_keys WHERE created_at < (SELECT ledger_now()) - make_interval(secs => $1)
           ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING 1`,
        [seconds, limit],
      );
      return gone.length;
    },
    rollUpUsage: () =>
      slow(async (run) => {
        const [row] = await run<{ outcome: 'summed' | 'waiting' | 'busy' | 'done' }>(
          'SELECT ledger.roll_up_usage() AS outcome',
        );
        return row?.outcome ?? 'busy';
      }),
    async now() {
      const [row] = await query<{ now: Date }>('SELECT ledger_now() AS now');
      return row?.now ?? new Date(0);
    },
    alone: (chore, work) =>
      // The work has transactions of its own; this one only holds the lock, and ends within the server's idle limit.
      transaction(async (hold) => {
        const [row] = await hold<{ free: boolean }>(
          'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 1)) AS free',
          [chore],
        );
        if (row?.free) await work();
        return row?.free ?? false;
      }),
  };
}

async function offendersOf(read: Query, view: (typeof CHECKS)[number][2]) {
  const [row] = await read<{ offenders: number; first: Record<string, unknown> | null }>(
    `SELECT count(*) AS offenders, (array_agg(to_jsonb(v)))[1] AS first FROM ledger.${view} v`,
  );
  return { offenders: row?.offenders ?? 0, first: row?.first ?? null };
}
