import { AppError } from '@tollgate/http-kit';
import type { JournalDrift, Tell } from '../../domain/facts.ts';
import type { HoldId } from '../../domain/wire-types.ts';
import type { Accounting, Clock, Journal, StandingRow } from '../../ports.ts';

/** Rows of one turn; the next one goes on behind them. */
const MOST_ROWS = 200;
const READ_AT_ONCE = 5;

export interface JournalComparer {
  /** One turn over the rows that have stood for long. Throws when the journal cannot be read. */
  compare(): Promise<void>;
  /** How many rows are known to drift now, in either way. */
  drifting(how: JournalDrift): number;
}

interface CompareDeps {
  readonly accounting: Pick<Accounting, 'read'>;
  readonly journal: Pick<Journal, 'standing' | 'has'>;
  readonly clock: Clock;
  readonly tell: Tell;
  /** Milliseconds within which whoever lives has brought a row to its end. */
  readonly graceMs: number;
}

interface Suspect {
  readonly row: StandingRow;
  readonly drift: JournalDrift;
  readonly since: number;
  readonly isTold: boolean;
}

/**
 * Looks for rows of the journal that nobody brings to an end although accounting knows the hold as closed, or does not know it,
 * or that wait for the end of a hold that is still open. What is found is for people: settling is the settler's alone.
 */
export function createJournalComparer(deps: CompareDeps): JournalComparer {
  const { journal, clock, graceMs } = deps;
  const suspects = new Map<HoldId, Suspect>();
  let after: HoldId | undefined;

  /** Told once it has lasted, because an answer may have ended, or been adopted, while we looked. */
  function note(row: StandingRow, drift: JournalDrift): void {
    const known = suspects.get(row.holdId);
    const since = known?.drift === drift ? known.since : clock.now();
    const isDrift = Math.abs(clock.now() - since) >= graceMs;
    if (isDrift && !known?.isTold) deps.tell('journal_drift', { holdId: row.holdId, userId: row.userId, how: drift });
    suspects.set(row.holdId, { row, drift, since, isTold: isDrift });
  }

  async function judge(row: StandingRow): Promise<void> {
    const drift = await driftOf(deps, row);
    if (drift === 'undecided') return;
    if (drift === undefined || !(await journal.has(row.holdId))) suspects.delete(row.holdId);
    else note(row, drift);
  }

  return {
    async compare() {
      const rows = await journal.standing(new Date(clock.now() - graceMs), after, MOST_ROWS);
      after = rows.length < MOST_ROWS ? undefined : rows.at(-1)?.holdId;
      const known = [...suspects.values()].map(({ row }) => row);
      const all = [...new Map([...known, ...rows].map((row) => [row.holdId, row])).values()];
      for (let at = 0; at < all.length; at += READ_AT_ONCE)
        await Promise.all(all.slice(at, at + READ_AT_ONCE).map(judge));
      for (const id of [...suspects.keys()].slice(MOST_ROWS)) suspects.delete(id);
    },
    drifting: (how) => [...suspects.values()].filter(({ drift, isTold }) => isTold && drift === how).length,
  };
}

/** Undecided: accounting cannot be asked now. */
async function driftOf(
  { accounting }: CompareDeps,
  { holdId, userId, isEnding }: StandingRow,
): Promise<JournalDrift | 'undecided' | undefined> {
  try {
    const { status } = await accounting.read(holdId, userId);
    if (status !== 'active') return 'closed';
    return isEnding ? 'owed' : undefined;
  } catch (error) {
    return error instanceof AppError && error.code === 'NOT_FOUND' ? 'unknown' : 'undecided';
  }
}
