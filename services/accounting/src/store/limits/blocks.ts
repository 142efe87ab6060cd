import type { BlockBody, Blocks } from '../../ports.ts';
import type { Query } from '../postgres.ts';

type Row = {
  number: number;
  kind: BlockBody['kind'];
  id: string;
  reason: string;
  blocked_by: string;
  blocked_at: Date;
};

const blockOf = (row: Row): BlockBody & { number: number } => ({
  number: row.number,
  kind: row.kind,
  id: row.id,
  reason: row.reason,
  blockedBy: row.blocked_by,
  blockedAt: row.blocked_at.toISOString(),
});

const COLUMNS = 'number, kind, id, reason, blocked_by, blocked_at';

export const createBlocks = (query: Query): Blocks => ({
  async add({ kind, id }, reason, actor) {
    const [row] = await query<Row>(
      `INSERT INTO blocks (kind, id, reason, blocked_by) VALUES ($1, $2, $3, $4)
       ON CONFLICT (kind, id) DO UPDATE SET reason = excluded.reason RETURNING ${COLUMNS}`,
      [kind, id, reason, actor],
    );
    if (!row) throw new Error('the block was not stored');
    return blockOf(row);
  },
  async remove({ kind, id }) {
    const [row] = await query<Row>(`DELETE FROM blocks WHERE kind = $1 AND id = $2 RETURNING ${COLUMNS}`, [kind, id]);
    return row && blockOf(row);
  },
  async list({ limit, after }) {
    const rows = await query<Row>(
      `SELECT ${COLUMNS} FROM blocks WHERE $2::bigint IS NULL OR number < $2 ORDER BY number DESC LIMIT $1`,
      [limit, after ?? null],
    );
    return rows.map(blockOf);
  },
});
