import { randomUUID } from 'node:crypto';
import type { accounting } from '@tollgate/contracts';
import type { Delivery, Outbox } from '../ports.ts';
import type { Query } from './postgres.ts';

/** The name of the mail to the owner of the account that an event concerns. */
const OWNER = 'account';

/** Side tables: what is done here moves no credits and needs no function of the ledger. */
export function createOutbox(query: Query): Outbox {
  return {
    ...createRouting(query),
    async lease({ kind, destinations }, limit, leaseSeconds) {
      const leaseId = randomUUID();
      const rows = await query<DeliveryRow>(LEASE, [
        kind,
        destinations.map(({ name }) => name),
        limit,
        leaseSeconds,
        leaseId,
      ]);
      return rows.map((row) => deliveryOf(row, leaseId));
    },
    async delivered({ eventId, kind, destination }) {
      return isOne(
        await query(
          `UPDATE outbox_deliveries SET delivered_at = ledger_now(), lease_id = NULL, last_error = NULL
           WHERE event_id = $1 AND kind = $2 AND destination = $3 AND delivered_at IS NULL AND given_up_at IS NULL RETURNING 1`,
          [eventId, kind, destination],
        ),
      );
    },
    async retryAfter({ eventId, kind, destination, leaseId }, seconds, error) {
      await query(
        `UPDATE outbox_deliveries SET due_at = ledger_now() + make_interval(secs => $5), lease_id = NULL, last_error = left($6, 200)
         WHERE event_id = $1 AND kind = $2 AND destination = $3 AND lease_id = $4`,
        [eventId, kind, destination, leaseId, seconds, error],
      );
    },
    async giveUp({ eventId, kind, destination, leaseId }, error) {
      return isOne(
        await query(
          `UPDATE outbox_deliveries SET given_up_at = ledger_now(), lease_id = NULL, last_error = left($5, 200)
           WHERE event_id = $1 AND kind = $2 AND destination = $3 AND lease_id = $4 RETURNING 1`,
          [eventId, kind, destination, leaseId, error],
        ),
      );
    },
  };
}

type DeliveryRow = {
  event_id: string;
  kind: Delivery['kind'];
  destination: string;
  attempts: number;
  age_seconds: number;
  type: string;
  payload: unknown;
  created_at: Date;
  username: string | null;
  email: string | null;
};

/**
 * A try is counted when it begins: an event that kills its deliverer is not tried for ever at the same pace. What another
 * instance has in its hands is passed over.
 */
const LEASE = `
  WITH due AS MATERIALIZED (
    SELECT event_id, kind, destination FROM outbox_deliveries
    WHERE kind = $1 AND destination = ANY ($2) AND delivered_at IS NULL AND given_up_at IS NULL AND due_at <= (SELECT ledger_now())
    ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED),
  leased AS (
    UPDATE outbox_deliveries d SET
      attempts = d.attempts + 1, lease_id = $5, due_at = ledger_now() + make_interval(secs => $4)
    FROM due WHERE (d.event_id, d.kind, d.destination) = (due.event_id, due.kind, due.destination)
    RETURNING d.*)
  SELECT l.event_id, l.kind, l.destination, l.attempts, o.type, o.payload, o.created_at, a.username, a.email,
         greatest(extract(epoch FROM ledger_now() - o.created_at), 0)::float8 AS age_seconds
  FROM leased l JOIN outbox o ON o.id = l.event_id LEFT JOIN user_accounts a ON a.id = o.user_id`;

const deliveryOf = (row: DeliveryRow, leaseId: string): Delivery => ({
  eventId: row.event_id,
  kind: row.kind,
  destination: row.destination,
  leaseId,
  attempts: row.attempts,
  ageSeconds: row.age_seconds,
  // emit_event is the only writer, and its callers write the payload of the type.
  event: { type: row.type, timestamp: row.created_at.toISOString(), data: row.payload } as accounting.OutboxEvent,
  owner: { username: row.username, email: row.email },
});

function createRouting(query: Query): Pick<Outbox, 'route' | 'depth' | 'giveUpOrphans' | 'forget'> {
  return {
    async route(destinations, limit) {
      const rows = await query(ROUTE, [
        limit,
        JSON.stringify(destinations.flatMap(({ kind, name, types }) => types.map((type) => ({ kind, name, type })))),
        OWNER,
      ]);
      return rows.length;
    },
    async depth() {
      const [row] = await query<{ waiting: number; oldest: number }>(DEPTH);
      return { waiting: row?.waiting ?? 0, oldestSeconds: row?.oldest ?? 0 };
    },
    async giveUpOrphans(giveUpSeconds) {
      // Half as long again: whoever delivers gives up by itself before.
      const rows = await query(
        `UPDATE outbox_deliveries d SET given_up_at = ledger_now(), lease_id = NULL, last_error = 'nobody delivers there any more'
         FROM outbox o WHERE o.id = d.event_id AND d.delivered_at IS NULL AND d.given_up_at IS NULL AND d.due_at <= ledger_now()
           AND o.created_at < ledger_now() - make_interval(secs => $1 * 1.5) RETURNING 1`,
        [giveUpSeconds],
      );
      return rows.length;
    },
    async forget(seconds, limit) {
      const rows = await query(
        `DELETE FROM outbox WHERE id = ANY (ARRAY(
           SELECT id FROM outbox o WHERE created_at < (SELECT ledger_now()) - make_interval(secs => $1) AND routed_at IS NOT NULL
             AND NOT EXISTS (
               SELECT FROM outbox_deliveries d WHERE d.event_id = o.id AND d.delivered_at IS NULL AND d.given_up_at IS NULL)
           ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING 1`,
        [seconds, limit],
      );
      return rows.length;
    },
  };
}

/** An account without an address is written to by nobody. */
const ROUTE = `
  WITH picked AS MATERIALIZED (
    SELECT id, type, user_id FROM outbox WHERE routed_at IS NULL ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED),
  made AS (
    INSERT INTO outbox_deliveries (event_id, kind, destination, due_at)
    SELECT p.id, d.kind, d.name, ledger_now()
    FROM picked p JOIN jsonb_to_recordset($2) AS d (kind text, name text, type text) ON d.type = p.type
    WHERE d.kind <> 'mail' OR d.name <> $3
       OR EXISTS (SELECT FROM user_accounts a WHERE a.id = p.user_id AND a.email IS NOT NULL)
    ON CONFLICT DO NOTHING)
  UPDATE outbox o SET routed_at = ledger_now() FROM picked p WHERE o.id = p.id RETURNING o.id`;

const DEPTH = `
  SELECT count(*) AS waiting, coalesce(extract(epoch FROM ledger_now() - min(created_at)), 0)::float8 AS oldest FROM (
    SELECT o.created_at FROM outbox_deliveries d JOIN outbox o ON o.id = d.event_id
    WHERE d.delivered_at IS NULL AND d.given_up_at IS NULL
    UNION ALL SELECT created_at FROM outbox WHERE routed_at IS NULL) w`;

const isOne = (rows: unknown[]): boolean => rows.length === 1;
