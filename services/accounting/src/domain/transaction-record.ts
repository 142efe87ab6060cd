import type { accounting, ServerResult, Units } from '@tollgate/contracts';

export type PriceRule = ServerResult<typeof accounting.createPrice>;
export type Explanation = ServerResult<typeof accounting.explainTransaction>;
export type ExplainedPrice = NonNullable<Explanation['price']>;
export type ExplainedPayment = NonNullable<Explanation['payment']>;
type Transaction = Explanation['transaction'];
type Source = NonNullable<Explanation['lot']>['source'];

/** A row of usage of a hold. Amounts of a correction are differences. */
export type UsageRow = Readonly<{
  units: Units;
  usageSource: string | null;
  credits: number;
  writtenOffCredits: number;
  /** Micro-credits with six decimals; null: booked before that was stored. */
  roundingMicro: string | null;
  isCorrection: boolean;
  /** Whether it is the correction of a refund by people, which says nothing about units. */
  isRefund: boolean;
}>;

export type ExplainedHold = Readonly<{
  /** null: a plain deduction. */
  priceRuleId: string | null;
  /** The most it pays for, after its extensions. */
  units: Units;
  heldCredits: number;
  releasedCredits: number;
  lapsedCredits: number;
  /** Those that cost nothing more among them. */
  extensions: number;
  /** After all corrections. */
  chargedCredits: number;
  overrunCredits: number;
  lots: readonly Readonly<{
    allocationId: number;
    source: Source;
    heldCredits: number;
    paidCredits: number;
  }>[];
  usage: readonly UsageRow[];
}>;

export type ExplainedLot = Readonly<{
  allocationId: number;
  source: Source;
  priority: number;
  grantedCredits: number;
  remainingCredits: number;
  heldCredits: number;
  consumedCredits: number;
  expiredCredits: number;
  revokedCredits: number;
  effectiveAt: string;
  expiresAt: string | null;
  voidedAt: string | null;
  allocatedBy: string;
  notes: string | null;
}>;

/** Another transaction of the same hold. */
export type RelatedTransaction = Readonly<{
  id: number;
  type: Transaction['type'];
  correctsId: number | null;
  heldChange: number;
  debtChange: number;
  /** What it booked to these accounts. */
  revenue: number;
  writeoff: number;
  /** What people gave back by it; 0 for everything else. */
  refunded: number;
}>;

/** Everything that is stored about a transaction, seen in one instant. */
export type TransactionRecord = Readonly<{
  transaction: Transaction;
  userId: string;
  correctsId: number | null;
  hold: ExplainedHold | null;
  lot: ExplainedLot | null;
  /** All of the hold, this one among them, oldest first. */
  related: readonly RelatedTransaction[];
}>;
