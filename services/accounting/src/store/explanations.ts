import { QueryTypes } from 'sequelize';
import type { ExplainedHold, ExplainedLot, RelatedTransaction } from '../domain/transaction-record.ts';
import type { Explanations, Reader, TransactionBody } from '../ports.ts';
import type { Models } from './models.ts';

type Row = {
  transaction: Omit<TransactionBody, 'entries' | 'createdAt'>;
  created_at: Date;
  entries: TransactionBody['entries'] | null;
  user_id: string;
  corrects_id: string | null;
  hold: Omit<ExplainedHold, 'lots' | 'usage'> | null;
  lots: ExplainedHold['lots'] | null;
  usage: ExplainedHold['usage'] | null;
  lot: ExplainedLot | null;
  lot_times: (Date | null)[];
  related: RelatedTransaction[] | null;
};

/** What is stored about transactions, for people; one statement, so that it is one instant. */
export const createExplanations = ({ sequelize }: Models): Explanations => ({
  async find(transactionId, reader) {
    const bind = [transactionId, ...reachOf(reader)];
    const [row] = await sequelize.query<Row>(EVERYTHING, { type: QueryTypes.SELECT, bind });
    if (!row) return undefined;
    return {
      transaction: { ...row.transaction, createdAt: row.created_at.toISOString(), entries: row.entries ?? [] },
      userId: row.user_id,
      correctsId: row.corrects_id === null ? null : Number(row.corrects_id),
      hold: row.hold && { ...row.hold, lots: row.lots ?? [], usage: row.usage ?? [] },
      lot: row.lot && { ...row.lot, ...lotTimes(row.lot_times) },
      related: row.related ?? [],
    };
  },
});

/** Who reads, whether everything is to be seen, and else the workspace that may be. */
const reachOf = ({ userId, others }: Reader) =>
  typeof others === 'string'
    ? [userId, others === 'all', null, false]
    : [userId, false, others.workspaceId, others.isDefault];

const lotTimes = ([effectiveAt, expiresAt, voidedAt]: (Date | null)[]) => ({
  effectiveAt: effectiveAt?.toISOString() ?? '',
  expiresAt: expiresAt?.toISOString() ?? null,
  voidedAt: voidedAt?.toISOString() ?? null,
});

const USAGE = `jsonb_build_object('units', coalesce(u.units, '{}'), 'usageSource', u.usage_source, 'credits', u.credits,
  'writtenOffCredits', u.written_off_credits, 'roundingMicro', u.rounding_micro::text, 'isCorrection', u.is_correction,
  'isRefund', u.is_correction AND u.operation = 'refund') AS line, u.id`;

const EVERYTHING = `
  SELECT
    jsonb_build_object('id', t.id, 'sequence', t.account_seq, 'type', t.type, 'availableChange', t.available_change,
      'heldChange', t.held_change, 'debtChange', t.debt_change, 'availableAfter', t.available_after, 'heldAfter', t.held_after,
      'holdId', t.hold_id, 'allocationId', t.allocation_id, 'actor', t.actor, 'reason', t.reason,
      'requestId', t.request_id) AS transaction,
    t.created_at, t.user_id, t.corrects_id,
    (SELECT jsonb_agg(jsonb_build_object('account', e.account, 'amount', e.amount) ORDER BY e.entry_no)
     FROM credit_entries e WHERE e.transaction_id = t.id) AS entries,
    CASE WHEN s.id IS NOT NULL THEN jsonb_build_object('priceRuleId', s.price_rule_id, 'units', s.units,
      'heldCredits', s.held_credits, 'releasedCredits', s.released_credits, 'lapsedCredits', s.lapsed_credits,
      'chargedCredits', s.charged_credits, 'overrunCredits', s.overrun_credits,
      'extensions', s.extensions) END AS hold,
    (SELECT jsonb_agg(jsonb_build_object('allocationId', a.id, 'source', a.source, 'heldCredits', h.held_credits,
       'paidCredits', h.consumed_credits) ORDER BY a.priority, a.expires_at NULLS LAST, a.is_paid, a.effective_at, a.id)
     FROM hold_lots h JOIN credit_allocations a ON a.id = h.allocation_id WHERE h.hold_id = s.id) AS lots,
    (SELECT jsonb_agg(lines.line ORDER BY lines.id) FROM (
       SELECT ${USAGE} FROM usage_logs u WHERE u.hold_id = s.id AND NOT u.is_correction
       UNION ALL SELECT ${USAGE} FROM usage_logs u WHERE u.hold_id = s.id AND u.is_correction) lines) AS usage,
    CASE WHEN l.id IS NOT NULL THEN jsonb_build_object('allocationId', l.id, 'source', l.source, 'priority', l.priority,
      'grantedCredits', l.total_credits, 'remainingCredits', l.remaining_credits, 'heldCredits', l.held_credits,
      'consumedCredits', l.consumed_credits, 'expiredCredits', l.expired_credits, 'revokedCredits', l.revoked_credits,
      'allocatedBy', l.allocated_by, 'notes', l.notes) END AS lot,
    ARRAY[l.effective_at, l.expires_at, l.voided_at] AS lot_times,
    (SELECT jsonb_agg(jsonb_build_object('id', o.id, 'type', o.type, 'correctsId', o.corrects_id, 'heldChange', o.held_change,
       'debtChange', o.debt_change, 'revenue', coalesce((SELECT sum(amount) FROM credit_entries WHERE transaction_id = o.id AND account = 'revenue'), 0),
       'writeoff', coalesce((SELECT sum(amount) FROM credit_entries WHERE transaction_id = o.id AND account = 'writeoff'), 0),
       'refunded', coalesce((SELECT credits FROM refunds r WHERE r.transaction_id = o.id), 0)
     ) ORDER BY o.account_seq) FROM credit_transactions o WHERE o.hold_id = t.hold_id) AS related
  FROM credit_transactions t
  LEFT JOIN streaming_sessions s ON s.id = t.hold_id
  LEFT JOIN credit_allocations l ON l.id = t.allocation_id
  WHERE t.id = $1 AND ($3::boolean OR t.user_id = $2 OR s.user_id = $2 OR (
    $4::text IS NOT NULL AND ledger.is_within(t.user_id, $4, $5)
    AND (s.id IS NULL OR ledger.was_within(s.workspace_id, $4, $5))))`;
