import type { Watermark } from '../../ports.ts';
import type { Query } from '../postgres.ts';

// Ids of transactions are handed out before they are committed, so a higher one may be seen before a lower one. An id that was
// handed out belongs to a database transaction that had begun: once all that had begun by then have ended, nothing below it is
// still to come. docs/adr/0012-signed-ledger-heads.md.

/** The last id handed out. Asked before the snapshot that it is used with. */
export async function lastIdHandedOut(query: Query): Promise<number> {
  const [row] = await query<{ last_value: number }>('SELECT last_value FROM credit_transactions_id_seq');
  return row?.last_value ?? 0;
}

export type StoredWatermark = Readonly<{ scan_from: number; last_id: number; next_xid: number }>;

/** Where this snapshot has to look from, and what the next one may rely on. */
export async function watermarkOf(
  read: Query,
  before: StoredWatermark | undefined,
  lastId: number,
): Promise<{ scanFrom: number; next: Watermark }> {
  const [now] = await read<{ oldest: number; next: number }>(
    'SELECT pg_snapshot_xmin(s)::text::bigint AS oldest, pg_snapshot_xmax(s)::text::bigint AS next FROM pg_current_snapshot() s',
  );
  const { oldest = 0, next: nextXid = 0 } = now ?? {};
  const scanFrom = before?.scan_from ?? 0;
  // A database that was restored elsewhere counts its transactions anew.
  const isSettled = before !== undefined && (oldest >= before.next_xid || before.next_xid > nextXid);
  return { scanFrom, next: { scanFrom: isSettled ? before.last_id : scanFrom, lastId, nextXid } };
}
