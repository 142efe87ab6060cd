import type { ChangedHeads, HeadLeaf, LedgerHeads, SignedHead } from '../../ports.ts';
import type { Postgres, Query } from '../postgres.ts';
import { lastIdHandedOut, watermarkOf } from './watermark.ts';

type HeadRow = {
  number: number;
  taken_at: Date;
  previous_hash: Buffer;
  root: Buffer;
  accounts: number;
  transactions: number;
  hash: Buffer;
  key_id: string;
  signature: Buffer;
  scan_from: number;
  last_id: number;
  next_xid: number;
};
type LeafRow = { head_number: number; user_id: string; account_seq: number; hash: Buffer };

const MOST_LEAVES = 20_000;

const headOf = (row: HeadRow): SignedHead => ({
  number: row.number,
  takenAt: row.taken_at.toISOString(),
  previousHash: row.previous_hash.toString('hex'),
  root: row.root.toString('hex'),
  accounts: row.accounts,
  transactions: row.transactions,
  hash: row.hash.toString('hex'),
  keyId: row.key_id,
  signature: row.signature.toString('base64url'),
});

const leafOf = (row: Omit<LeafRow, 'head_number'>): HeadLeaf => ({
  userId: row.user_id,
  seq: row.account_seq,
  hash: row.hash.toString('hex'),
});

/** The signed heads of the ledger; functions/13-ledger-heads.sql keeps them. */
export function createLedgerHeads({ query, snapshot }: Postgres): LedgerHeads {
  return {
    async changed(youngestMs) {
      const lastId = await lastIdHandedOut(query);
      return snapshot((read) => changedHeads(read, lastId, youngestMs));
    },
    async append(head, leaves, watermark) {
      const [row] = await query<{ outcome: 'appended' | 'late' }>(
        'SELECT ledger.append_head(jsonb_populate_record(NULL::ledger.head_request, $1)) AS outcome',
        [
          JSON.stringify({
            number: head.number,
            taken_at: head.takenAt,
            previous_hash: `\\x${head.previousHash}`,
            root: `\\x${head.root}`,
            transactions: head.transactions,
            hash: `\\x${head.hash}`,
            key_id: head.keyId,
            signature: `\\x${Buffer.from(head.signature, 'base64url').toString('hex')}`,
            scan_from: watermark.scanFrom,
            last_id: watermark.lastId,
            next_xid: watermark.nextXid,
            user_ids: leaves.map(({ userId }) => userId),
            seqs: leaves.map(({ seq }) => seq),
          }),
        ],
      );
      return row?.outcome === 'appended';
    },
    async list({ limit, after }) {
      const rows = await query<HeadRow>(
        'SELECT * FROM ledger_heads WHERE $1::bigint IS NULL OR number < $1 ORDER BY number DESC LIMIT $2',
        [after ?? null, limit],
      );
      return rows.map(headOf);
    },
    async withLeaves(from, limit) {
      const heads = await query<HeadRow>('SELECT * FROM ledger_heads WHERE number >= $1 ORDER BY number LIMIT $2', [
        from,
        limit,
      ]);
      const leaves = await query<LeafRow>(
        `SELECT head_number, user_id, account_seq, hash FROM ledger_head_leaves
         WHERE head_number = ANY ($1::bigint[]) ORDER BY head_number, user_id COLLATE "C"`,
        [heads.map(({ number }) => number)],
      );
      const ofHead = Map.groupBy(leaves, (leaf) => leaf.head_number);
      return heads.map((head) => ({ head: headOf(head), leaves: (ofHead.get(head.number) ?? []).map(leafOf) }));
    },
    async newest() {
      const [row] = await query<{ number: number }>('SELECT coalesce(max(number), 0) AS number FROM ledger_heads');
      return row?.number ?? 0;
    },
  };
}

/** The accounts are found by the ids of new transactions: an index on the account itself would cost every booking. */
async function changedHeads(read: Query, lastId: number, youngestMs: number): Promise<ChangedHeads | undefined> {
  const [clock] = await read<{ now: Date }>("SELECT date_trunc('milliseconds', ledger_now()) AS now");
  const takenAt = clock?.now ?? new Date(0);
  const [last] = await read<HeadRow>('SELECT * FROM ledger_heads ORDER BY number DESC LIMIT 1');
  if (last && takenAt.getTime() - last.taken_at.getTime() < youngestMs) return undefined;
  const { scanFrom, next } = await watermarkOf(read, last, lastId);
  const rows = await read<Omit<LeafRow, 'head_number'> & { advance: number }>(
    `SELECT c.user_id, t.account_seq, t.hash, t.account_seq - coalesce(l.account_seq, 0) AS advance
     FROM (SELECT DISTINCT user_id FROM credit_transactions WHERE id > $1) c
     CROSS JOIN LATERAL (
       SELECT account_seq, hash FROM credit_transactions WHERE user_id = c.user_id ORDER BY account_seq DESC LIMIT 1) t
     LEFT JOIN LATERAL (
       SELECT account_seq FROM ledger_head_leaves WHERE user_id = c.user_id ORDER BY account_seq DESC LIMIT 1) l ON true
     WHERE t.account_seq > coalesce(l.account_seq, 0) ORDER BY c.user_id COLLATE "C" LIMIT $2`,
    [scanFrom, MOST_LEAVES],
  );
  const hasMore = rows.length === MOST_LEAVES;
  return {
    last: last && headOf(last),
    takenAt,
    leaves: rows.map(leafOf),
    transactions: rows.reduce((sum, { advance }) => sum + advance, 0),
    // What did not fit is below the mark and must be looked for again.
    watermark: hasMore ? { ...next, scanFrom } : next,
    hasMore,
  };
}
