import type { NewVouchers, PaymentTx, Redeemed, Refunded } from '../../ports.ts';
import { claimsRow } from '../accounts.ts';
import type { Query } from '../postgres.ts';
import { type OrderRow, topUpOf } from './payments.ts';

type RefundRow = {
  outcome: Refunded['outcome'];
  refund_id: number;
  hold_id: string;
  user_id: string;
  refundable_credits: number;
  available_credits: number;
  transaction_id: number;
  debt_repaid: number;
  lapsed_credits: number;
  allocation_id: number | null;
  expires_at: Date | null;
};
type RedemptionRow = {
  outcome: Redeemed['outcome'];
  allocation_id: number;
  credits: number;
  remaining_credits: number;
  expires_at: Date | null;
};

/** Refunds, orders and vouchers inside a transaction. */
export const paymentTxOn = (query: Query): PaymentTx => ({
  async refund({ holdId, transactionId, credits, actor, reason, requestId }) {
    const request = {
      hold_id: holdId,
      transaction_id: transactionId,
      credits,
      actor,
      reason,
      request_id: requestId,
    };
    const [row] = await query<RefundRow>(
      'SELECT * FROM ledger.refund_credits(jsonb_populate_record(NULL::ledger.refund_request, $1))',
      [JSON.stringify(request)],
    );
    return refundedOf(row);
  },
  async orderTopUp({ claims, provider, credits, amount, currency }) {
    const request = { claims: claimsRow(claims), provider, credits, amount_minor: amount, currency };
    const [row] = await query<OrderRow>(
      'SELECT * FROM ledger.create_topup(jsonb_populate_record(NULL::ledger.topup_request, $1))',
      [JSON.stringify(request)],
    );
    if (!row) throw new Error('create_topup gave no answer');
    return topUpOf(row);
  },
  async createVouchers(vouchers) {
    const rows = await query<{ id: number }>(
      'SELECT id FROM ledger.create_vouchers(jsonb_populate_record(NULL::ledger.voucher_request, $1)) AS id',
      [JSON.stringify(vouchersRow(vouchers))],
    );
    return rows.map(({ id }) => id);
  },
  async redeemVoucher(claims, hash, { actor, requestId }) {
    const [row] = await query<RedemptionRow>(
      'SELECT * FROM ledger.redeem_voucher(jsonb_populate_record(NULL::ledger.account_claims, $1), $2, $3, $4)',
      [JSON.stringify(claimsRow(claims)), hash, actor, requestId],
    );
    if (!row) throw new Error('redeem_voucher gave no answer');
    if (row.outcome !== 'redeemed') return { outcome: row.outcome };
    return {
      outcome: 'redeemed',
      allocationId: row.allocation_id,
      credits: row.credits,
      remaining: row.remaining_credits,
      expiresAt: row.expires_at,
    };
  },
});

function refundedOf(row: RefundRow | undefined): Refunded {
  if (!row) throw new Error('refund_credits gave no answer');
  if (row.outcome === 'unknown') return { outcome: 'unknown' };
  if (row.outcome === 'excess') return { outcome: 'excess', refundable: row.refundable_credits };
  const { allocation_id: id, expires_at: expiresAt } = row;
  return {
    outcome: 'refunded',
    id: row.refund_id,
    userId: row.user_id,
    holdId: row.hold_id,
    transactionId: row.transaction_id,
    debtRepaid: row.debt_repaid,
    graceLot: id !== null && expiresAt !== null ? { id, credits: row.lapsed_credits, expiresAt } : null,
    refundable: row.refundable_credits,
    available: row.available_credits,
  };
}

const vouchersRow = ({ expiryDays, redeemableUntil, workspaceId, ...same }: NewVouchers) => ({
  ...same,
  expiry_days: expiryDays,
  redeemable_until: redeemableUntil,
  workspace_id: workspaceId,
});
