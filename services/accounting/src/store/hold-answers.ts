import type { BlockReason, ClosedRecord, ExtendedHold, OpenedHold, ReachedLimit, RefusedHold } from '../ports.ts';
import { type AnswerRow, holdOf } from './hold-rows.ts';

/** What keeps a hold from being taken: the balance, a limit, or a block. */
export function refusedOf(row: AnswerRow | undefined): RefusedHold | undefined {
  const { outcome, hold } = row ?? {};
  if (outcome === 'short') return { outcome, available: row?.available_credits ?? 0 };
  if (outcome === 'limited') {
    const { resetsAt, ...limit } = Object(hold) as ReachedLimit & { resetsAt: string | null };
    return { outcome, limit: { ...limit, resetsAt: resetsAt === null ? null : new Date(resetsAt) } };
  }
  return outcome === 'blocked' ? { outcome, reason: (Object(hold) as { reason: BlockReason }).reason } : undefined;
}

export function openedOf(row: AnswerRow | undefined): OpenedHold {
  const { outcome, hold } = row ?? {};
  if (outcome === 'mismatch') return { outcome };
  const refused = refusedOf(row);
  if (refused) return refused;
  if (hold && (outcome === 'opened' || outcome === 'replayed' || outcome === 'closed')) {
    return { outcome, available: row?.available_credits ?? 0, hold: holdOf(hold) };
  }
  throw new Error(`open_holds answered ${outcome}`);
}

export function extendedOf(row: AnswerRow | undefined): ExtendedHold {
  const { outcome, hold } = row ?? {};
  if (outcome === 'unknown') return { outcome };
  const refused = refusedOf(row);
  if (refused) return refused;
  if (hold && (outcome === 'extended' || outcome === 'closed' || outcome === 'fenced')) {
    return { outcome, available: row?.available_credits ?? 0, hold: holdOf(hold) };
  }
  throw new Error(`extend_hold answered ${outcome}`);
}

const NOT_CLOSED = ['mismatch', 'alive', 'repriced', 'unknown'] as const;
const isNotClosed = (outcome: string | undefined): outcome is (typeof NOT_CLOSED)[number] =>
  NOT_CLOSED.some((one) => one === outcome);

export function closedOf(row: AnswerRow | undefined): ClosedRecord {
  const outcome = row?.outcome;
  if (isNotClosed(outcome)) return { outcome };
  if (row?.hold && (outcome === 'done' || outcome === 'same' || outcome === 'final')) {
    const hold = holdOf(row.hold);
    return { outcome, available: row.available_credits ?? hold.availableAfter ?? 0, hold };
  }
  throw new Error(`closing a hold answered ${outcome}`);
}
