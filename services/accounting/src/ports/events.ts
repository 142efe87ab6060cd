import type { accounting } from '@tollgate/contracts';
import type { HoldRecord } from '../domain/hold-state.ts';
import type { SignedHead } from '../domain/ledger-head.ts';
import type { ReconciliationRun } from './audit.ts';
import type { BlockReason, OpenHoldFigures } from './holds.ts';
import type { Channel, OutboxDepth } from './outbox.ts';
import type { TopUpBody } from './payments.ts';

export type RefusalReason =
  | 'insufficient_credits'
  | 'model_not_priced'
  | 'budget_exceeded'
  | 'rate_limited'
  | 'parallel_limit'
  | BlockReason;

/** The business facts that are counted and logged. */
export type Events = {
  holdOpened(fact: { holdId: string; userId: string; credits: number; clamped: boolean }): void;
  holdClosed(fact: { cause: 'settle' | 'void' | 'sweep'; hold: HoldRecord }): void;
  refused(fact: { reason: RefusalReason; userId: string }): void;
  priceAdded(fact: { ruleId: string; version: number; actor: string }): void;
  priceGroupSet(fact: { userId: string; group: string | null; actor: string }): void;
  moved(fact: {
    kind: 'allocated' | 'adjusted' | 'revoked' | 'deducted' | 'refunded' | 'redeemed';
    userId: string;
    credits: number;
    actor: string;
    /** The balance before and after, where the movement knows them. */
    from?: number;
    to?: number;
  }): void;
  /** Somebody decided who may use how much. */
  ruled(fact: {
    kind: 'limit_set' | 'limit_ended' | 'billing_set' | 'blocked' | 'unblocked';
    subject: string;
    actor: string;
  }): void;
  /** Somebody tried to move credits beyond what the role allows. */
  overstepped(fact: { actor: string; of: string; credits: number; operation: string }): void;
  vouchersMade(fact: { count: number; credits: number; actor: string }): void;
  paymentApplied(fact: {
    provider: accounting.PaymentProvider;
    state: TopUpBody['state'];
    orderId: string;
    userId: string;
    granted: number;
    takenBack: number;
    shortfall: number;
  }): void;
  paymentRefused(fact: {
    provider: accounting.PaymentProvider;
    reason: 'unsigned' | 'forged' | 'stale' | 'mismatch';
    orderId: string | null;
  }): void;
  holdsMeasured(figures: OpenHoldFigures): void;
  lotsExpired(fact: { lots: number }): void;
  tenantChanged(fact: { actor: string }): void;
  eventDelivered(fact: { kind: Channel['kind']; type: accounting.OutboxEventType; attempts: number }): void;
  eventGivenUp(fact: {
    kind: Channel['kind'];
    type: accounting.OutboxEventType;
    eventId: string;
    destination: string;
    attempts: number;
    error: string;
  }): void;
  deliveriesOrphaned(fact: { deliveries: number }): void;
  outboxDepth(depth: OutboxDepth): void;
  headTaken(head: SignedHead): void;
  reconciled(run: ReconciliationRun): void;
};
