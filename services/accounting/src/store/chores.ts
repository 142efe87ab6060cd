import type { Chores, OpenHoldFigures } from '../ports.ts';
import type { Postgres } from './postgres.ts';

const OPEN_HOLDS = `
  SELECT count(*) FILTER (WHERE lease_expires_at >= n.now) AS active,
         count(*) FILTER (WHERE lease_expires_at < n.now) AS overdue,
         coalesce(greatest(extract(epoch FROM n.now - min(created_at)), 0), 0)::float8 AS "oldestSeconds",
         coalesce(greatest(extract(epoch FROM n.now - min(lease_expires_at)), 0), 0)::float8 AS "overdueSeconds"
  FROM (SELECT ledger_now() AS now) n LEFT JOIN streaming_sessions ON status = 'active'
  GROUP BY n.now`;

/** What runs beside the requests: the bookings of the clock. */
export function createChores({ query, slow, transaction }: Postgres): Chores {
  return {
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
    async forgetCounters(limit) {
      const [row] = await query<{ forgotten: number }>('SELECT ledger.forget_counters($1) AS forgotten', [limit]);
      return row?.forgotten ?? 0;
    },
    rollUpUsage: () =>
      slow(async (run) => {
        const [row] = await run<{ outcome: 'summed' | 'waiting' | 'busy' | 'done' }>(
          'SELECT ledger.roll_up_usage() AS outcome',
        );
        return row?.outcome ?? 'busy';
      }),
    openHolds: () =>
      slow(async (run) => {
        const [row] = await run<OpenHoldFigures>(OPEN_HOLDS);
        return row ?? { active: 0, overdue: 0, oldestSeconds: 0, overdueSeconds: 0 };
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
