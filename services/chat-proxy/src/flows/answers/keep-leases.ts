import type { ErrorCode } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { type Access, codeOfEnd } from '../../domain/access.ts';
import type { Tell } from '../../domain/facts.ts';
import { billFor } from '../../domain/price.ts';
import type { HoldId, Units } from '../../domain/wire-types.ts';
import type { Accounting, Clock, Journal, LostHold, Renewal, Sessions } from '../../ports.ts';
import { inTurn } from '../in-turn.ts';
import { CHECKPOINT_TOKENS, type OpenHold } from './open-hold.ts';

/** The contract's limit for one call. */
const RENEWED_AT_ONCE = 1000;
/** In so many turns every answer is renewed and noted once: all in one moment would keep new answers waiting. */
export const KEEPING_TURNS = 8;

export interface LeaseKeeper {
  add(hold: OpenHold): void;
  remove(holdId: HoldId): void;
  /** An answer has grown a lot: do not wait for the next turn. */
  noteSoon(): void;
  /**
   * Renews the leases whose turn it is at accounting, in one call per thousand, each with its progress; ends what has run for too
   * long.
   */
  renew(): Promise<void>;
  /** Ends the answers that were begun with an access which has ended since. */
  endRevoked(reasonOf: (access: Access) => string | undefined): void;
  /** Writes the progress of all running answers into the journal; one write at a time, so that the last word is the newest. */
  note(): Promise<void>;
  /** The same for those whose turn it is: each once in `noteEveryMs`, or sooner when it has grown a lot. */
  noteDue(): Promise<void>;
  readonly running: number;
}

export interface LeaseKeeperDeps {
  readonly accounting: Pick<Accounting, 'renew'>;
  readonly journal: Pick<Journal, 'checkpoint'>;
  readonly sessions: Pick<Sessions, 'renewLeases'>;
  readonly clock: Clock;
  readonly tell: Tell;
  /** Writes down what keys stand for, so that nobody pays for words that died with us. Never rejects, and is never long. */
  readonly keepAnswers: () => Promise<void>;
  /** Runs the work in a moment. */
  readonly soon: (work: () => void) => void;
  readonly journalLeaseMs: number;
  readonly sessionLeaseMs: number;
  /** Within these times every answer is noted and renewed once... */
  readonly noteEveryMs: number;
  readonly renewEveryMs: number;
  /** ...by so many calls of `noteDue` and of `renew`. */
  readonly turns: number;
  /** An answer that is older has escaped every other limit. */
  readonly longestAnswerMs: number;
  /** Settles an answer whose own end does not come. */
  readonly overdue: (hold: OpenHold) => void;
}

/** Keeps the holds, journal rows and sessions of all running answers of this process alive. */
export function createLeaseKeeper(deps: LeaseKeeperDeps): LeaseKeeper {
  const holds = new Map<HoldId, OpenHold>();
  const notes = createNotes(deps, () => [...holds.values()]);
  let hasSeenLease = false;

  function add(hold: OpenHold): void {
    holds.set(hold.id, hold);
    if (hasSeenLease) return;
    hasSeenLease = true;
    const leaseMs = Date.parse(hold.grant.leaseExpiresAt) - deps.clock.now();
    const { renewEveryMs } = deps;
    if (renewEveryMs > leaseMs / 2) deps.tell('renewal_too_slow', { leaseMs, renewEveryMs });
  }

  async function renew(): Promise<void> {
    endOverdue();
    const isWanted = isDueBy(deps, deps.renewEveryMs);
    const due = [...holds.values()].filter(({ renewedAt }) => isWanted(renewedAt));
    if (due.length === 0) return;
    const renewals = due.map(renewalOf);
    const now = deps.clock.now();
    await deps.keepAnswers();
    const ids = renewals.map(({ holdId }) => holdId);
    const sessions = deps.sessions.renewLeases(ids, new Date(deps.clock.now() + deps.sessionLeaseMs));
    await Promise.all([sessions, ...chunks(renewals).map(renewSome)]);
    // Only now: what could not be renewed is due again.
    for (const hold of due) hold.renewedAt = now;
  }

  /** A client that stopped reading can keep an answer from noticing that it was stopped; its hold ends all the same. */
  function endOverdue(): void {
    const oldest = deps.clock.now() - deps.longestAnswerMs;
    for (const hold of [...holds.values()].filter(({ openedAt }) => openedAt < oldest)) {
      deps.tell('answer_overdue', { holdId: hold.id, userId: hold.userId });
      hold.stop.abort(new AppError('UPSTREAM_TIMEOUT'));
      deps.overdue(hold);
    }
  }

  async function renewSome(some: readonly Renewal[]): Promise<void> {
    for (const lost of await deps.accounting.renew(some)) {
      // An answer that ended while the call was under way has been removed, and is no loss.
      const hold = holds.get(lost.holdId);
      if (!hold || hold.stop.signal.aborted) continue;
      deps.tell('hold_lost', { how: lost.outcome, holdId: lost.holdId });
      hold.stop.abort(new AppError(lossCode(lost)));
    }
  }

  function endRevoked(reasonOf: (access: Access) => string | undefined): void {
    for (const hold of holds.values()) {
      const reason = hold.stop.signal.aborted ? undefined : reasonOf(hold.access);
      if (reason === undefined) continue;
      deps.tell('access_ended', { holdId: hold.id, userId: hold.userId, reason });
      hold.stop.abort(new AppError(codeOfEnd(reason)));
    }
  }

  return {
    add,
    endRevoked,
    remove: (holdId) => void holds.delete(holdId),
    renew,
    ...notes,
    get running() {
      return holds.size;
    },
  };
}

/** What writes the progress of answers into the journal, one write at a time. */
function createNotes(
  deps: LeaseKeeperDeps,
  running: () => readonly OpenHold[],
): Pick<LeaseKeeper, 'note' | 'noteDue' | 'noteSoon'> {
  let isSoon = false;
  let wantsAll = false;
  const noteDue = inTurn(() => {
    const isDue = isDueBy(deps, deps.noteEveryMs);
    const isWanted = (hold: OpenHold): boolean => isDue(hold.checkpointedAt) || hasGrown(hold);
    const some = wantsAll ? running() : running().filter(isWanted);
    wantsAll = false;
    return writeProgress(deps, some);
  });
  return {
    noteDue,
    note() {
      wantsAll = true;
      return noteDue();
    },
    noteSoon() {
      if (isSoon) return;
      isSoon = true;
      deps.soon(() => {
        isSoon = false;
        void noteDue().catch((error: unknown) =>
          deps.tell('background_failed', { task: 'checkpoint', reason: String(error) }),
        );
      });
    },
  };
}

function lossCode({ outcome, reason }: LostHold): ErrorCode {
  if (outcome === 'stopped') return reason === 'key_revoked' ? 'KEY_REVOKED' : 'ACCOUNT_DISABLED';
  return outcome === 'fenced' ? 'HOLD_FENCED' : 'HOLD_CLOSED';
}

/** A turn early rather than late; a moment that is still to come was set by a clock that has been put back since. */
function isDueBy({ clock, turns }: LeaseKeeperDeps, everyMs: number): (doneAt: number) => boolean {
  const now = clock.now();
  const latest = now - everyMs * (1 - 1 / turns);
  return (doneAt) => doneAt <= latest || doneAt > now;
}

const hasGrown = ({ reply, checkpointedOutput }: OpenHold): boolean =>
  reply.meteredOutput - checkpointedOutput >= CHECKPOINT_TOKENS;

/** Notes what has changed since the last time, and shows that the others are alive. */
async function writeProgress(
  { clock, journal, journalLeaseMs, keepAnswers }: LeaseKeeperDeps,
  holds: readonly OpenHold[],
): Promise<void> {
  const now = clock.now();
  const changed = holds
    .filter(
      (hold) => hold.reply.meteredOutput !== hold.checkpointedOutput || now - hold.checkpointedAt >= journalLeaseMs / 3,
    )
    .map((hold) => ({ hold, output: hold.reply.meteredOutput }));
  if (changed.length === 0) return;
  const rows = changed.map(({ hold }) => ({
    holdId: hold.id,
    fence: hold.grant.fence,
    ...progressOf(hold, 'units'),
  }));
  await keepAnswers();
  await journal.checkpoint(rows, new Date(now + journalLeaseMs));
  // Only now: what could not be written must be written again.
  for (const { hold, output } of changed) {
    hold.checkpointedOutput = output;
    hold.checkpointedAt = now;
  }
}

const renewalOf = (hold: OpenHold): Renewal => ({
  holdId: hold.id,
  fence: hold.grant.fence,
  ...progressOf(hold, 'checkpoint'),
});

/** Absent while nothing billable has happened, so that an orphan without a token is released and not charged. */
function progressOf<Name extends string>(hold: OpenHold, name: Name): { [_ in Name]?: Units } {
  const bill = billFor(hold.grant, hold.reply);
  return bill ? ({ [name]: bill.units } as { [_ in Name]: Units }) : {};
}

function chunks(renewals: readonly Renewal[]): Renewal[][] {
  const count = Math.ceil(renewals.length / RENEWED_AT_ONCE);
  return Array.from({ length: count }, (_, at) => renewals.slice(at * RENEWED_AT_ONCE, (at + 1) * RENEWED_AT_ONCE));
}
