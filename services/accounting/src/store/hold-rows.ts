import type { accounting, Units } from '@tollgate/contracts';
import type { HoldRecord } from '../domain/hold-state.ts';

/** A row of streaming_sessions as JSON, which is how the functions of the migrations answer. */
export type HoldRow = {
  id: string;
  user_id: string;
  payer_id: string;
  opened_by: string;
  session_id: string | null;
  upstream: string | null;
  model: string | null;
  chatflow_id: string | null;
  workspace_id: string | null;
  price_rule_id: string | null;
  units: Units;
  clamped: boolean;
  status: HoldRecord['status'];
  held_credits: number;
  fence: number;
  lease_expires_at: string;
  checkpoint: Units | null;
  created_at: string;
  closed_at: string | null;
  close_key: string | null;
  outcome: accounting.Outcome | null;
  charged_credits: number;
  released_credits: number;
  lapsed_credits: number;
  written_off_credits: number;
  debt_credits: number;
  overrun_credits: number;
  available_after: number | null;
};

export const holdOf = (row: HoldRow): HoldRecord => ({
  holdId: row.id,
  userId: row.user_id,
  payerId: row.payer_id,
  openedBy: row.opened_by,
  sessionId: row.session_id,
  upstream: row.upstream,
  model: row.model,
  chatflowId: row.chatflow_id,
  workspaceId: row.workspace_id,
  priceRuleId: row.price_rule_id,
  units: row.units,
  clamped: row.clamped,
  status: row.status,
  heldCredits: row.held_credits,
  fence: row.fence,
  leaseExpiresAt: new Date(row.lease_expires_at),
  leaseText: row.lease_expires_at,
  checkpoint: row.checkpoint,
  createdAt: new Date(row.created_at),
  closedAt: row.closed_at === null ? null : new Date(row.closed_at),
  closeKey: row.close_key,
  outcome: row.outcome,
  chargedCredits: row.charged_credits,
  releasedCredits: row.released_credits,
  lapsedCredits: row.lapsed_credits,
  writtenOffCredits: row.written_off_credits,
  debtCredits: row.debt_credits,
  overrunCredits: row.overrun_credits,
  availableAfter: row.available_after,
});

/** The SQL type `hold_answer`. */
export type AnswerRow = { outcome: string; available_credits: number | null; hold: HoldRow | null };
