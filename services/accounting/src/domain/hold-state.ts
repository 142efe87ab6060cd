import type { accounting, Price, ServerResult, Units } from '@tollgate/contracts';

type Outcome = accounting.Outcome;

/** A hold as it is stored. */
export type HoldRecord = Readonly<{
  holdId: string;
  /** Who asked. */
  userId: string;
  /** Whose credits: the user's own account or its workspace's pool. */
  payerId: string;
  openedBy: string;
  sessionId: string | null;
  upstream: string | null;
  model: string | null;
  chatflowId: string | null;
  workspaceId: string | null;
  priceRuleId: string | null;
  units: Units;
  clamped: boolean;
  status: 'active' | 'settled' | 'voided' | 'expired';
  heldCredits: number;
  fence: number;
  leaseExpiresAt: Date;
  /** To the microsecond, as the database wrote it. */
  leaseText: string;
  checkpoint: Units | null;
  createdAt: Date;
  closedAt: Date | null;
  closeKey: string | null;
  outcome: Outcome | null;
  chargedCredits: number;
  releasedCredits: number;
  lapsedCredits: number;
  writtenOffCredits: number;
  debtCredits: number;
  overrunCredits: number;
  availableAfter: number | null;
}>;

/** An open hold as its owner sees it; also one that was closed in the instant between, with that status. */
export const openHoldBody = (
  hold: HoldRecord,
  price: Price,
  available: number,
): ServerResult<typeof accounting.holdCredits> => ({
  holdId: hold.holdId,
  status: hold.status,
  heldCredits: hold.heldCredits,
  fence: hold.fence,
  leaseExpiresAt: hold.leaseExpiresAt.toISOString(),
  price,
  units: hold.units,
  clamped: hold.clamped,
  checkpoint: hold.checkpoint,
  availableCredits: available,
});

type Answer = Readonly<{ available: number; alreadyFinal: boolean }>;

/** The final state of a hold. Of an open one there is none. */
export function closedHoldBody(hold: HoldRecord, answer: Answer): ServerResult<typeof accounting.settleHold> {
  const { status } = hold;
  if (status === 'active') throw new Error(`hold ${hold.holdId} is still open`);
  return {
    holdId: hold.holdId,
    status,
    outcome: hold.outcome,
    heldCredits: hold.heldCredits,
    chargedCredits: hold.chargedCredits,
    releasedCredits: hold.releasedCredits,
    expiredCredits: hold.lapsedCredits,
    writtenOffCredits: hold.writtenOffCredits,
    debtCredits: hold.debtCredits,
    availableCredits: answer.available,
    checkpoint: hold.checkpoint,
    alreadyFinal: answer.alreadyFinal,
  };
}
