import { wireCode } from '@tollgate/contracts';
import { AppError, type Origin } from '@tollgate/http-kit';
import type { Tell } from '../../domain/facts.ts';
import type { ClosedHold, HoldId, UserId } from '../../domain/wire-types.ts';
import type { Accounting, Clock, Ending, Journal, JournalRow } from '../../ports.ts';
import { judgeOrphan } from './judge-orphan.ts';

/** For what accounting refuses: somebody has to look at it, and until then it costs next to nothing. */
const LONGEST_PARKED_MS = 3_600_000;
const JITTER = 0.2;
const ADOPTED_AT_ONCE = 100;
const ENDED_AT_ONCE = 20;
/** A turn is short, so that the next one can put new settlements before old releases. */
const ENDED_PER_TURN = 200;
/** Beyond it the journal remembers for us. */
const MOST_REMEMBERED = 10_000;

/** A hold that is to end, and how. */
export interface Closing {
  readonly holdId: HoldId;
  readonly userId: UserId;
  readonly ending: Ending;
  /** The journal has it already. */
  readonly isWritten?: boolean;
  /** The request that the hold was taken for: whatever is done later is done under its id. */
  readonly origin?: Origin | undefined;
}

export interface Settler {
  /** Writes down how a hold is going to end. False when that was not possible. Never throws. */
  decide(closing: Closing): Promise<boolean>;
  /**
   * Tries at once, and knows with accounting's word; what fails is written down and repeated until accounting acknowledges it.
   * That the journal forgets it nobody has to wait for. Never throws.
   */
  end(closing: Closing): Promise<ClosedHold | undefined>;
  endLater(closing: Closing): void;
  /** One turn of the background task: repeats what is due and takes over what dead owners left. */
  tick(): Promise<void>;
  /** Repeats what is due. */
  repeat(): Promise<void>;
  /** Holds this process still owes an end. */
  readonly waiting: number;
  /** Those of them whose end accounting refuses. */
  readonly parked: number;
  /** Milliseconds the oldest of them waits. */
  lagMs(): number;
  /** Resolves when every first attempt under way has come to its end. */
  idle(): Promise<void>;
}

export interface SettlerDeps {
  readonly accounting: Pick<Accounting, 'end' | 'read' | 'bury'>;
  readonly journal: Pick<Journal, 'conclude' | 'close' | 'adopt'>;
  readonly clock: Clock;
  readonly tell: Tell;
  /** From 0 up to but without 1. */
  readonly random: () => number;
  readonly journalLeaseMs: number;
  /** The waits between attempts, from the first one, which doubles, to the longest. */
  readonly retry: { readonly firstMs: number; readonly longestMs: number };
  /** Does the work as a part of the request it belongs to. */
  readonly asPartOf: <T>(origin: Origin | undefined, work: () => Promise<T>) => Promise<T>;
  /** Leftovers kept in memory; 10,000 when absent. */
  readonly mostRemembered?: number;
}

/** No hold without an end: settlements and releases survive a dead neighbour, a dead database, and our own death. */
export const createSettler = (deps: SettlerDeps): Settler => new LeftoverSettler(deps);

interface Waiting extends Closing {
  readonly attempts: number;
  readonly dueAt: number;
  readonly since: number;
  /** Accounting has acknowledged the end; only the journal row is still there. */
  readonly isClosed: boolean;
  /** Accounting has refused the end. */
  readonly isParked: boolean;
}

class LeftoverSettler implements Settler {
  readonly #deps: SettlerDeps;
  readonly #waiting = new Map<HoldId, Waiting>();
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(deps: SettlerDeps) {
    this.#deps = deps;
  }

  decide(closing: Closing): Promise<boolean> {
    return this.#conclude(this.#now(closing));
  }

  end(closing: Closing): Promise<ClosedHold | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<ClosedHold | undefined>();
    const attempt = this.#attempt(this.#now(closing), resolve);
    this.#underWay.add(attempt);
    void attempt.then(resolve, reject).finally(() => this.#underWay.delete(attempt));
    return promise;
  }

  endLater(closing: Closing): void {
    const waiting = this.#now(closing);
    if (!this.#remember(waiting)) void this.#conclude(waiting);
  }

  async tick(): Promise<void> {
    const { clock, journal } = this.#deps;
    await this.repeat();
    const lease = new Date(clock.now() + this.#deps.journalLeaseMs);
    const orphans = await journal.adopt(new Date(clock.now()), lease, ADOPTED_AT_ONCE);
    await Promise.all(orphans.filter(({ holdId }) => !this.#waiting.has(holdId)).map((row) => this.#recover(row)));
  }

  async repeat(): Promise<void> {
    const now = this.#deps.clock.now();
    const due = [...this.#waiting.values()].filter((closing) => this.#isDue(closing, now));
    await this.#endAll(due.toSorted(byUrgency).slice(0, ENDED_PER_TURN));
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get parked(): number {
    return [...this.#waiting.values()].filter(({ isParked }) => isParked).length;
  }

  lagMs(): number {
    const now = this.#deps.clock.now();
    return [...this.#waiting.values()].reduce((lag, { since }) => Math.max(lag, now - since), 0);
  }

  async idle(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }

  async #endAll(due: readonly Waiting[]): Promise<void> {
    for (let at = 0; at < due.length; at += ENDED_AT_ONCE) {
      const some = due.slice(at, at + ENDED_AT_ONCE);
      await Promise.all(some.map((closing) => this.#attempt(closing)));
      // Not one went through: accounting is away, and the others would wait for nothing.
      if (some.every(({ holdId }) => this.#waiting.has(holdId))) return;
    }
  }

  #attempt(closing: Waiting, known?: (closed: ClosedHold) => void): Promise<ClosedHold | undefined> {
    return this.#deps.asPartOf(closing.origin, () => this.#tryToEnd(closing, known));
  }

  async #tryToEnd(closing: Waiting, known?: (closed: ClosedHold) => void): Promise<ClosedHold | undefined> {
    if (closing.isClosed) {
      await this.#strike(closing);
      return undefined;
    }
    // Side by side: after a crash either accounting or the journal knows the exact figures.
    const isKnown = closing.isWritten && closing.attempts === 0;
    const concluded = isKnown ? Promise.resolve(true) : this.#conclude(closing);
    try {
      const closed = await this.#deps.accounting.end(closing.holdId, closing.userId, closing.ending);
      this.#tellClosed(closing, closed.chargedCredits > 0 ? 'settled' : 'voided', closed.chargedCredits);
      known?.(closed);
      await this.#strike(closing, concluded);
      return closed;
    } catch (error) {
      return this.#failed(closing, error, { concluded, known });
    }
  }

  async #failed(
    closing: Waiting,
    error: unknown,
    { concluded, known }: { concluded: Promise<boolean>; known: ((closed: ClosedHold) => void) | undefined },
  ): Promise<ClosedHold | undefined> {
    const code = error instanceof AppError ? error.code : undefined;
    if (code === 'NOT_FOUND') {
      this.#tellClosed(closing, 'unknown', 0);
      await this.#strike(closing, concluded);
      return undefined;
    }
    if (!(error instanceof AppError) || PASSING.has(error.code)) {
      if (closing.attempts === 0) this.#deps.tell('hold_left_over', { ...idsOf(closing), reason: reasonOf(error) });
      this.#repeat(closing);
      return undefined;
    }
    // What the upstream reported is the only part of an ending that is not of our making.
    const plain = withoutRawUsage(closing.ending);
    if (plain) {
      await concluded;
      return this.#tryToEnd({ ...closing, ending: plain }, known);
    }
    if (!closing.isParked) this.#deps.tell('hold_parked', { ...idsOf(closing), reason: reasonOf(error) });
    this.#repeat({ ...closing, isParked: true });
    return undefined;
  }

  /** A row that stays is harmless: its hold is closed, and closing it again changes nothing. */
  async #strike(closing: Waiting, concluded?: Promise<boolean>): Promise<void> {
    this.#waiting.delete(closing.holdId);
    await concluded;
    try {
      await this.#deps.journal.close(closing.holdId);
    } catch {
      this.#repeat({ ...closing, isClosed: true });
    }
  }

  /** The row is ours until well after the next attempt; then whoever sees it may try. Never rejects: false is failure. */
  #conclude(closing: Waiting): Promise<boolean> {
    const { clock, journal, journalLeaseMs } = this.#deps;
    const lease = new Date(clock.now() + this.#waitMs(closing) * (1 + JITTER) + journalLeaseMs);
    return journal.conclude(closing, closing.ending, lease).then(
      () => true,
      () => false,
    );
  }

  #repeat(closing: Waiting): void {
    const { clock, random } = this.#deps;
    const dueAt = clock.now() + this.#waitMs(closing) * (1 - JITTER + 2 * JITTER * random());
    this.#remember({ ...closing, attempts: closing.attempts + 1, dueAt });
  }

  #waitMs({ attempts, isParked }: Waiting): number {
    const { firstMs, longestMs } = this.#deps.retry;
    return Math.min(isParked ? LONGEST_PARKED_MS : longestMs, firstMs * 2 ** attempts);
  }

  /** False when memory is full: then the journal hands the row back when its lease has run out. */
  #remember(closing: Waiting): boolean {
    const { mostRemembered = MOST_REMEMBERED } = this.#deps;
    if (this.#waiting.size >= mostRemembered && !this.#waiting.has(closing.holdId)) return false;
    this.#waiting.set(closing.holdId, closing);
    return true;
  }

  async #recover(row: JournalRow): Promise<void> {
    const verdict = row.ending ?? (await this.#judge(row));
    if (verdict === 'leave') return;
    await this.#deps.asPartOf(row.origin, async () => {
      if (verdict === 'bury') return this.#bury(row);
      this.#deps.tell('hold_recovered', { ...idsOf(row), how: verdict === 'strike' ? 'strike' : verdict.kind });
      if (verdict === 'strike') await this.#deps.journal.close(row.holdId).catch(() => undefined);
      else await this.end({ ...idsOf(row), ending: verdict, origin: row.origin });
    });
  }

  /** Not an end of ours: an owner whose hold arrives at this moment is alive, and keeps its row and its hold. */
  async #bury(row: JournalRow): Promise<void> {
    const { accounting, journal, tell } = this.#deps;
    const isBuried = await accounting.bury(row.holdId, row.userId).then(
      () => true,
      (error: unknown) => error instanceof AppError && error.code === 'NOT_FOUND',
    );
    if (!isBuried) return;
    tell('hold_recovered', { ...idsOf(row), how: 'bury' });
    await journal.close(row.holdId).catch(() => undefined);
  }

  /** Accounting that cannot be asked leaves the row as it is: it comes again when its lease has run out. */
  async #judge({ holdId, userId, checkpoint }: JournalRow) {
    try {
      return judgeOrphan(await this.#deps.accounting.read(holdId, userId), checkpoint);
    } catch (error) {
      const isUnknown = error instanceof AppError && error.code === 'NOT_FOUND';
      return isUnknown ? judgeOrphan(undefined, checkpoint) : 'leave';
    }
  }

  /** A moment further away than any pause was set by a clock that has been put back since. */
  #isDue(closing: Waiting, now: number): boolean {
    return closing.dueAt <= now || closing.dueAt - now > this.#waitMs(closing) * (1 + JITTER);
  }

  #tellClosed(closing: Waiting, how: 'settled' | 'voided' | 'unknown', chargedCredits: number): void {
    this.#deps.tell('hold_closed', { ...idsOf(closing), how, chargedCredits, attempts: closing.attempts + 1 });
  }

  #now(closing: Closing): Waiting {
    const now = this.#deps.clock.now();
    return { ...closing, attempts: 0, dueAt: now, since: now, isClosed: false, isParked: false };
  }
}

/** Failures that say nothing about the ending itself. */
const PASSING: ReadonlySet<string> = new Set(['ACCOUNTING_UNAVAILABLE', 'RATE_LIMITED']);

/** Settlements are money that is owed; a release only gives a user credits back sooner than the lease would. */
const byUrgency = (one: Waiting, other: Waiting): number =>
  Number(one.ending.kind === 'void') - Number(other.ending.kind === 'void') || one.dueAt - other.dueAt;

function withoutRawUsage(ending: Ending): Ending | undefined {
  if (ending.kind === 'void' || ending.rawUsage === undefined) return undefined;
  const { rawUsage: _, ...plain } = ending;
  return plain;
}

const idsOf = ({ holdId, userId }: { holdId: HoldId; userId: UserId }) => ({ holdId, userId });
const reasonOf = (error: unknown): string => (error instanceof AppError ? wireCode(error.code) : String(error));
