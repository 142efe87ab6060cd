import { AppError } from '@tollgate/http-kit';
import { billFor } from '../domain/price.ts';
import type { HoldId, Units } from '../domain/wire-types.ts';
import type { Accounting, Clock, Journal, Renewal, Sessions } from '../ports.ts';
import type { OpenHold } from './open-hold.ts';
import type { Tell } from '../domain/facts.ts';

/** The contract's limit for one call. */
const RENEWED_AT_ONCE = 1000;

export interface LeaseKeeper {
  add(hold: OpenHold): void;
  remove(holdId: HoldId): void;
  /** An answer has grown a lot: do not wait for the next turn. */
  noteSoon(): void;
  /** Renews all leases at accounting, in one call per thousand, each with its progress. */
  renew(): Promise<void>;
  /** Writes the progress of all running answers into the journal. */
  note(): Promise<void>;
  readonly running: number;
}

export interface LeaseKeeperDeps {
  readonly accounting: Pick<Accounting, 'renew'>;
  readonly journal: Pick<Journal, 'checkpoint'>;
  readonly sessions: Pick<Sessions, 'renewLeases'>;
  readonly clock: Clock;
  readonly tell: Tell;
  /** Runs the work in a moment. */
  readonly soon: (work: () => void) => void;
  readonly journalLeaseMs: number;
  readonly sessionLeaseMs: number;
}

/** Keeps the holds, journal rows and sessions of all running answers of this process alive. */
export function createLeaseKeeper(deps: LeaseKeeperDeps): LeaseKeeper {
  const holds = new Map<HoldId, OpenHold>();
  let isNotingSoon = false;

  async function renew(): Promise<void> {
    const ids = [...holds.keys()];
    if (ids.length === 0) return;
    const sessions = deps.sessions.renewLeases(ids, new Date(deps.clock.now() + deps.sessionLeaseMs));
    await Promise.all([sessions, ...chunks([...holds.values()]).map(renewSome)]);
  }

  async function renewSome(some: readonly OpenHold[]): Promise<void> {
    for (const { holdId, outcome } of await deps.accounting.renew(some.map(renewalOf))) {
      // An answer that ended while the call was under way has been removed, and is no loss.
      const hold = holds.get(holdId);
      if (!hold) continue;
      deps.tell('hold_lost', { how: outcome, holdId });
      hold.lost.abort(new AppError(outcome === 'fenced' ? 'HOLD_FENCED' : 'HOLD_CLOSED'));
    }
  }

  async function note(): Promise<void> {
    const now = deps.clock.now();
    const changed = [...holds.values()].filter(
      (hold) =>
        hold.reply.meteredOutput !== hold.checkpointedOutput || now - hold.checkpointedAt >= deps.journalLeaseMs / 3,
    );
    if (changed.length === 0) return;
    for (const hold of changed) {
      hold.checkpointedOutput = hold.reply.meteredOutput;
      hold.checkpointedAt = now;
    }
    const rows = changed.map((hold) => ({ holdId: hold.id, fence: hold.grant.fence, ...progressOf(hold, 'units') }));
    await deps.journal.checkpoint(rows, new Date(now + deps.journalLeaseMs));
  }

  return {
    add: (hold) => void holds.set(hold.id, hold),
    remove: (holdId) => void holds.delete(holdId),
    noteSoon() {
      if (isNotingSoon) return;
      isNotingSoon = true;
      deps.soon(() => {
        isNotingSoon = false;
        void note().catch((error: unknown) =>
          deps.tell('background_failed', { task: 'checkpoint', reason: String(error) }),
        );
      });
    },
    renew,
    note,
    get running() {
      return holds.size;
    },
  };
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

function chunks(holds: readonly OpenHold[]): OpenHold[][] {
  const count = Math.ceil(holds.length / RENEWED_AT_ONCE);
  return Array.from({ length: count }, (_, at) => holds.slice(at * RENEWED_AT_ONCE, (at + 1) * RENEWED_AT_ONCE));
}
