import type { accounting } from '@tollgate/contracts';
import type { PaymentEvent, Payments, ReceivedPayment, TopUpBody } from '../../ports.ts';
import type { Query } from '../postgres.ts';

export type OrderRow = {
  seq: number;
  id: string;
  provider: accounting.PaymentProvider;
  credits: number;
  amount_minor: number;
  currency: string;
  state: TopUpBody['state'];
  created_at: Date;
  changed_at: Date;
};
type AnswerRow = {
  outcome: ReceivedPayment['outcome'];
  is_repetition: boolean;
  order_id: string | null;
  user_id: string | null;
  state: ReceivedPayment['state'];
  granted_credits: number | null;
  taken_back_credits: number | null;
  shortfall_credits: number | null;
};

const COLUMNS = 'seq, id, provider, credits::bigint, amount_minor, currency, state, created_at, changed_at';

/** Orders of credits and the events that move them. */
export const createPayments = (query: Query): Payments => ({
  async receive(event) {
    const [row] = await query<AnswerRow>(
      'SELECT * FROM ledger.receive_payment(jsonb_populate_record(NULL::ledger.payment_event, $1))',
      [JSON.stringify(eventRow(event))],
    );
    if (!row) throw new Error('receive_payment gave no answer');
    return {
      outcome: row.outcome,
      isRepetition: row.is_repetition,
      orderId: row.order_id,
      userId: row.user_id,
      state: row.state,
      granted: row.granted_credits ?? 0,
      takenBack: row.taken_back_credits ?? 0,
      shortfall: row.shortfall_credits ?? 0,
    };
  },
  async list(userId, { limit, after }) {
    const rows = await query<OrderRow>(
      `SELECT ${COLUMNS} FROM topup_orders WHERE user_id = $1 AND ($2::bigint IS NULL OR seq < $2) ORDER BY seq DESC LIMIT $3`,
      [userId, after ?? null, limit],
    );
    return rows.map((row) => ({ ...topUpOf(row), position: row.seq }));
  },
  async find(userId, orderId) {
    const [row] = await query<OrderRow>(`SELECT ${COLUMNS} FROM topup_orders WHERE user_id = $1 AND id = $2`, [
      userId,
      orderId,
    ]);
    return row && topUpOf(row);
  },
});

export const topUpOf = (row: OrderRow): TopUpBody =>
  ({
    orderId: row.id,
    provider: row.provider,
    credits: Number(row.credits),
    amount: row.amount_minor,
    currency: row.currency,
    state: row.state,
    createdAt: row.created_at.toISOString(),
    changedAt: row.changed_at.toISOString(),
  }) satisfies TopUpBody;

const eventRow = ({ eventId, orderId, paymentId, amount, bodyHash, requestId, ...same }: PaymentEvent) => ({
  ...same,
  event_id: eventId,
  order_id: orderId,
  payment_id: paymentId,
  amount_minor: amount,
  body_sha256: bodyHash,
  request_id: requestId,
});
