import type { ExplainedHold, PriceRule, TransactionRecord } from '../../../src/domain/transaction-record.ts';

// Transactions as they are when everything about them is right.

export const USER = '0123456789abcdef01234567';
export const RULE: PriceRule = {
  ruleId: '00000000-0000-4000-8000-000000000001',
  version: 1,
  mode: 'flat_plus_metered',
  unitPrices: { request: 1_000_000, output: 100_000 },
  tiers: [{ aboveInputUnits: 10, unitPrices: { request: 1_000_000, output: 200_000 } }],
  markupNumerator: 1,
  markupDenominator: 3,
  free: false,
  upstream: 'openai',
  model: 'm',
  chatflow: '*',
  group: '*',
  validFrom: '2026-01-01T00:00:00.000Z',
  createdBy: 'seed',
  createdAt: '2026-01-01T00:00:00.000Z',
};
type Transaction = TransactionRecord['transaction'];
export const transaction = (changes: Partial<Transaction>, ...entries: [string, number][]): Transaction => ({
  id: 2,
  sequence: 2,
  type: 'settle',
  availableChange: 0,
  heldChange: 0,
  debtChange: 0,
  availableAfter: 0 as Transaction['availableAfter'],
  heldAfter: 0 as Transaction['heldAfter'],
  entries: entries.map(([account, amount]) => ({ account, amount })),
  holdId: null,
  allocationId: null,
  actor: 'service:chat-proxy',
  reason: null,
  requestId: null,
  createdAt: '2026-02-01T00:00:00.000Z',
  ...changes,
});
export const AVAILABLE = `user:${USER}:available`;
export const HELD = `user:${USER}:held`;
export const DEBT = `user:${USER}:debt`;

export const usage = { usageSource: 'provider', writtenOffCredits: 0, isCorrection: false, isRefund: false };
/** Held 10; used 17 outputs: 2.7 / 3, so 1 credit was charged and 9 went back. */
export const HOLD: ExplainedHold = {
  priceRuleId: RULE.ruleId,
  units: { request: 1, output: 290 },
  heldCredits: 10,
  extensions: 0,
  releasedCredits: 9,
  lapsedCredits: 0,
  chargedCredits: 1,
  overrunCredits: 0,
  lots: [
    { allocationId: 7, source: 'admin', heldCredits: 4, paidCredits: 1 },
    { allocationId: 8, source: 'topup', heldCredits: 6, paidCredits: 0 },
  ],
  usage: [{ ...usage, units: { request: 1, output: 17 }, credits: 1, roundingMicro: '100000.000000' }],
};
export const HELD_BEFORE = {
  id: 1,
  type: 'hold',
  correctsId: null,
  heldChange: 10,
  debtChange: 0,
  revenue: 0,
  writeoff: 0,
  refunded: 0,
} as const;
export const SETTLED = { ...HELD_BEFORE, id: 2, type: 'settle', heldChange: -10, revenue: 1 } as const;
export const SETTLEMENT: TransactionRecord = {
  transaction: transaction(
    { availableChange: 9, heldChange: -10, holdId: '00000000-0000-4000-8000-000000000002' as never },
    [AVAILABLE, 9],
    [HELD, -10],
    ['revenue', 1],
  ),
  userId: USER,
  correctsId: null,
  hold: HOLD,
  lot: null,
  related: [HELD_BEFORE, SETTLED],
};
export const RESERVATION: TransactionRecord = {
  ...SETTLEMENT,
  transaction: transaction({ id: 1, type: 'hold', availableChange: -10, heldChange: 10 }, [AVAILABLE, -10], [HELD, 10]),
};
export const LOT: NonNullable<TransactionRecord['lot']> = {
  allocationId: 7,
  source: 'admin',
  priority: 100,
  grantedCredits: 30,
  remainingCredits: 10,
  heldCredits: 4,
  consumedCredits: 8,
  expiredCredits: 5,
  revokedCredits: 3,
  effectiveAt: '2026-01-01T00:00:00.000Z',
  expiresAt: '2026-02-01T00:00:00.000Z',
  voidedAt: '2026-01-20T00:00:00.000Z',
  allocatedBy: 'admin:x',
  notes: null,
};
const ofLot = (changes: Partial<Transaction>, ...entries: [string, number][]): TransactionRecord => ({
  transaction: transaction({ allocationId: 7, ...changes }, ...entries),
  userId: USER,
  correctsId: null,
  hold: null,
  lot: LOT,
  related: [],
});
export const GRANT = ofLot(
  { type: 'grant', availableChange: 28, debtChange: -2 },
  [AVAILABLE, 28],
  [DEBT, 2],
  ['issuance:admin', -30],
);
export const EXPIRY = ofLot({ type: 'expire', availableChange: -5 }, [AVAILABLE, -5], ['expired', 5]);
export const REVOCATION = ofLot({ type: 'revoke', availableChange: -3 }, [AVAILABLE, -3], ['issuance:admin', 3]);
export const ADJUSTMENT: TransactionRecord = {
  ...ofLot({ type: 'adjustment', availableChange: -3, reason: 'because' }, [AVAILABLE, -3], ['issuance:adjustment', 3]),
  lot: null,
};

export const withHold = (record: TransactionRecord, changes: Partial<ExplainedHold>): TransactionRecord => ({
  ...record,
  hold: { ...HOLD, ...changes },
});
export const withTransaction = (record: TransactionRecord, changes: Partial<Transaction>): TransactionRecord => ({
  ...record,
  transaction: { ...record.transaction, ...changes },
});
export const withUsage = (record: TransactionRecord, changes: object): TransactionRecord =>
  withHold(record, { usage: HOLD.usage.map((line) => ({ ...line, ...changes })) });
export const withLot = (record: TransactionRecord, changes: object): TransactionRecord => ({
  ...record,
  lot: { ...LOT, ...changes },
});
