import { QueryTypes } from 'sequelize';
import type { UsageRecordRow, UsageReports } from '../../ports.ts';
import type { Models } from '../models.ts';
import { Binds, doneWithin } from './counted-usage.ts';

type RecordRow = Omit<
  UsageRecordRow,
  'id' | 'credits' | 'writtenOffCredits' | 'inputTokens' | 'outputTokens' | 'transactionId' | 'micros' | 'timestamp'
> &
  Record<'id' | 'credits' | 'writtenOffCredits' | 'micros', string> &
  Record<'inputTokens' | 'outputTokens' | 'transactionId', string | null> & { timestamp: Date };

/** Rows of usage, newest first. Each order is that of an index: (user_id, timestamp, id) or (timestamp, id). */
export const createUsageRecords = ({ sequelize }: Models): UsageReports['usageRecords'] =>
  async function usageRecords({ userId, within, period: { from, until }, limit, after }) {
    const binds = new Binds();
    const conditions = [
      userId !== undefined && `user_id = ${binds.add(userId)}`,
      within && doneWithin(within, binds),
      from && `"timestamp" >= ${binds.add(from)}::timestamptz`,
      until && `"timestamp" < ${binds.add(until)}::timestamptz`,
      after &&
        `("timestamp", id) < ('epoch'::timestamptz + ${binds.add(after.micros)}::bigint * interval '1 microsecond', ${binds.add(after.id)}::bigint)`,
    ].filter((condition) => typeof condition === 'string');
    const rows = await sequelize.query<RecordRow>(
      `SELECT id, user_id AS "userId", workspace_id AS "workspaceId", service, operation, model, chatflow_id AS "chatflowId",
              credits, written_off_credits AS "writtenOffCredits", is_correction AS "isCorrection", input_tokens AS "inputTokens",
              output_tokens AS "outputTokens", outcome, reason, hold_id AS "holdId",
              ledger.closing_transaction(hold_id) AS "transactionId", "timestamp",
              (extract(epoch FROM "timestamp") * 1000000)::bigint AS micros
       FROM usage_logs ${conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''}
       ORDER BY "timestamp" DESC, id DESC LIMIT ${binds.add(limit)}`,
      { type: QueryTypes.SELECT, bind: binds.values },
    );
    return rows.map(recordOf);
  };

const recordOf = (row: RecordRow): UsageRecordRow => ({
  ...row,
  id: Number(row.id),
  credits: Number(row.credits),
  writtenOffCredits: Number(row.writtenOffCredits),
  inputTokens: row.inputTokens === null ? null : Number(row.inputTokens),
  outputTokens: row.outputTokens === null ? null : Number(row.outputTokens),
  transactionId: row.transactionId === null ? null : Number(row.transactionId),
  timestamp: row.timestamp.toISOString(),
  micros: Number(row.micros),
});
