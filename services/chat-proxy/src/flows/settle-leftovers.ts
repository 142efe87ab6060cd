import { wireCode } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import type { Tell } from '../domain/facts.ts';
import type { ClosedHold, HoldId, UserId } from '../domain/wire-types.ts';
import type { Accounting, Clock, Ending, Journal, JournalRow } from '../ports.ts';

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
const JITTER = 0.2;
const ADOPTED_AT_ONCE = 100;
const ENDED_AT_ONCE = 20;

/** A hold that is to end, and how. */
export interface Closing {
  readonly holdId: HoldId;
  readonly userId: UserId;
  readonly ending: Ending;
}

export interface Settler {
  /** Tries at once; what fails is written down and repeated until accounting acknowledges it. Never throws. */
  end(closing: Closing): Promise<ClosedHold | undefined>;
  endLater(closing: Closing): void;
  /** One turn of the background task: repeats what is due and takes over what dead owners left. */
  tick(): Promise<void>;
  /** Holds this process still owes an end. */
  readonly waiting: number;
  /** Milliseconds the oldest of them waits. */
  lagMs(): number;
  /** Resolves when every first attempt under way has come to its end. */
  idle(): Promise<void>;
}

export interface SettlerDeps {
  readonly accounting: Pick<Accounting, 'end'>;
  readonly journal: Pick<Journal, 'conclude' | 'close' | 'adopt'>;
  readonly clock: Clock;
  readonly tell: Tell;
  /** From 0 up to but without 1. */
  readonly random: () => number;
  readonly journalLeaseMs: number;
}

/** No hold without an end: settlements and releases survive a dead neighbour, a dead database, and our own death. */
export const createSettler = (deps: SettlerDeps): Settler => new LeftoverSettler(deps);

interface Waiting extends Closing {
  readonly attempts: number;
  readonly dueAt: number;
  readonly since: number;
}

class LeftoverSettler implements Settler {
  readonly #deps: SettlerDeps;
  readonly #waiting = new Map<HoldId, Waiting>();
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(deps: SettlerDeps) {
    this.#deps = deps;
  }

  async end(closing: Closing): Promise<ClosedHold | undefined> {
    const attempt = this.#attempt(this.#now(closing));
    this.#underWay.add(attempt);
    try {
      return await attempt;
    } finally {
      this.#underWay.delete(attempt);
    }
  }

  endLater(closing: Closing): void {
    this.#waiting.set(closing.holdId, this.#now(closing));
  }

  async tick(): Promise<void> {
    const { clock, journal } = this.#deps;
    const due = [...this.#waiting.values()].filter(({ dueAt }) => dueAt <= clock.now());
    for (let at = 0; at < due.length; at += ENDED_AT_ONCE) {
      await Promise.all(due.slice(at, at + ENDED_AT_ONCE).map((closing) => this.#attempt(closing)));
    }
    const orphans = await journal.adopt(new Date(clock.now()), this.#lease(), ADOPTED_AT_ONCE);
    await Promise.all(orphans.map((row) => this.#recover(row)));
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  lagMs(): number {
    const now = this.#deps.clock.now();
    return Math.max(0, ...[...this.#waiting.values()].map(({ since }) => now - since));
  }

  async idle(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }

  async #attempt(closing: Waiting): Promise<ClosedHold | undefined> {
    const { accounting, journal } = this.#deps;
    // Side by side: after a crash either accounting or the journal knows the exact figures.
    const concluded = journal.conclude(closing, closing.ending, this.#lease()).catch(() => undefined);
    try {
      const closed = await accounting.end(closing.holdId, closing.userId, closing.ending);
      this.#tellClosed(closing, closed.status === 'settled' ? 'settled' : 'voided', closed.chargedCredits);
      await this.#strike(closing, concluded);
      return closed;
    } catch (error) {
      if (error instanceof AppError && error.code === 'NOT_FOUND') {
        this.#tellClosed(closing, 'unknown', 0);
        await this.#strike(closing, concluded);
      } else this.#repeat(closing, error);
      return undefined;
    }
  }

  /** A row that stays is harmless: its hold is closed, and closing it again changes nothing. */
  async #strike(closing: Waiting, concluded: Promise<void>): Promise<void> {
    this.#waiting.delete(closing.holdId);
    await concluded;
    try {
      await this.#deps.journal.close(closing.holdId);
    } catch (error) {
      this.#repeat(closing, error);
    }
  }

  #repeat(closing: Waiting, error: unknown): void {
    const { clock, random, tell } = this.#deps;
    if (closing.attempts === 0) tell('hold_left_over', { ...idsOf(closing), reason: reasonOf(error) });
    const backoff = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** closing.attempts);
    const dueAt = clock.now() + backoff * (1 - JITTER + 2 * JITTER * random());
    this.#waiting.set(closing.holdId, { ...closing, attempts: closing.attempts + 1, dueAt });
  }

  async #recover(row: JournalRow): Promise<void> {
    const ending = endingOfOrphan(row);
    this.#deps.tell('hold_recovered', { ...idsOf(row), how: ending.kind });
    await this.end({ ...idsOf(row), ending });
  }

  #tellClosed(closing: Waiting, how: 'settled' | 'voided' | 'unknown', chargedCredits: number): void {
    this.#deps.tell('hold_closed', { ...idsOf(closing), how, chargedCredits, attempts: closing.attempts + 1 });
  }

  #now(closing: Closing): Waiting {
    const now = this.#deps.clock.now();
    return { ...closing, attempts: 0, dueAt: now, since: now };
  }

  #lease(): Date {
    return new Date(this.#deps.clock.now() + this.#deps.journalLeaseMs);
  }
}

/** An owner that died left either its decision, or a checkpoint to charge, or nothing that is worth a charge. */
function endingOfOrphan({ ending, checkpoint }: JournalRow): Ending {
  if (ending) return ending;
  if (!checkpoint) return { kind: 'void', reason: 'the proxy stopped before the first token' };
  return { kind: 'settle', outcome: 'recovered', units: checkpoint, usageSource: 'checkpoint' };
}

const idsOf = ({ holdId, userId }: { holdId: HoldId; userId: UserId }) => ({ holdId, userId });
const reasonOf = (error: unknown): string => (error instanceof AppError ? wireCode(error.code) : String(error));
