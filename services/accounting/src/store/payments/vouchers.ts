import type { VoucherBody, Vouchers } from '../../ports.ts';
import type { Query } from '../postgres.ts';

type Row = {
  id: number;
  credits: number;
  expiry_days: number | null;
  redeemable_until: Date;
  state: VoucherBody['state'];
  created_by: string;
  created_at: Date;
  redeemed_by: string | null;
  redeemed_at: Date | null;
  allocation_id: number | null;
};

/** Vouchers as an admin sees them: nobody sees a code again. */
export const createVoucherList = (query: Query): Vouchers => ({
  async list({ limit, after }) {
    const rows = await query<Row>(
      `SELECT id, credits::bigint, expiry_days, redeemable_until, created_by, created_at, redeemed_by, redeemed_at, allocation_id,
              CASE WHEN redeemed_at IS NOT NULL THEN 'redeemed' WHEN voided_at IS NOT NULL THEN 'voided'
                   WHEN redeemable_until <= (SELECT ledger_now()) THEN 'lapsed' ELSE 'open' END AS state
       FROM vouchers WHERE $1::bigint IS NULL OR id < $1 ORDER BY id DESC LIMIT $2`,
      [after ?? null, limit],
    );
    return rows.map(bodyOf);
  },
  async void(id, actor) {
    const [row] = await query<{ outcome: 'voided' | 'taken' | 'unknown' }>(
      'SELECT ledger.void_voucher($1, $2) AS outcome',
      [id, actor],
    );
    return row?.outcome ?? 'unknown';
  },
});

const bodyOf = (row: Row): VoucherBody => ({
  id: row.id,
  credits: row.credits,
  expiryDays: row.expiry_days,
  redeemableUntil: row.redeemable_until.toISOString(),
  state: row.state,
  createdBy: row.created_by,
  createdAt: row.created_at.toISOString(),
  redeemedBy: row.redeemed_by,
  redeemedAt: row.redeemed_at?.toISOString() ?? null,
  allocationId: row.allocation_id,
});
