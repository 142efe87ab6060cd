import { AppError } from '@tollgate/http-kit';
import type { HoldId } from '../../domain/wire-types.ts';
import type { AnswerSlots, Clock } from '../../ports.ts';

/** Places for answers at one time, shared by all processes, each given back exactly once. */
export interface Slots {
  /**
   * PARALLEL_LIMIT at once when this process alone knows that all are taken; else the promise tells, so that an answer can
   * begin meanwhile. While the database is away this process counts for itself.
   */
  take(subject: string, requestId: HoldId, most: number): Promise<void>;
  /** Never throws: what the database could not be told is repeated. */
  release(subject: string, requestId: HoldId): void;
  /** Whether the last answer for it was refused a moment ago: then a further one had better wait for the word of the database. */
  isTight(subject: string): boolean;
  tick(): Promise<void>;
}

export interface SlotsDeps {
  readonly slots: AnswerSlots;
  readonly clock: Clock;
  /** Told when a place was taken in this process alone. */
  readonly unshared: () => void;
}

const TIGHT_MS = 2000;
const MOST_REMEMBERED = 10_000;
const RETRY_AFTER_SECONDS = 1;

export function createSlots({ slots, clock, unshared }: SlotsDeps): Slots {
  /** By subject, what this process has taken, each with the word of the database. */
  const own = new Map<string, Map<HoldId, Promise<boolean>>>();
  const tightUntil = new Map<string, number>();
  const unreleased = new Map<string, () => Promise<void>>();

  function refused(subject: string): AppError {
    if (tightUntil.size >= MOST_REMEMBERED) tightUntil.clear();
    tightUntil.set(subject, clock.now() + TIGHT_MS);
    return new AppError('PARALLEL_LIMIT', undefined, { headers: { 'retry-after': String(RETRY_AFTER_SECONDS) } });
  }

  function forget(subject: string, requestId: HoldId): Promise<boolean> | undefined {
    const taken = own.get(subject);
    const taking = taken?.get(requestId);
    taken?.delete(requestId);
    if (taken?.size === 0) own.delete(subject);
    return taking;
  }

  async function giveBack(subject: string, requestId: HoldId, taking: Promise<boolean>): Promise<void> {
    const name = `${subject} ${requestId}`;
    // Neither here nor by `tick` before it is taken: else it would be taken afterwards, by nobody.
    await taking;
    if (unreleased.size < MOST_REMEMBERED) unreleased.set(name, () => slots.release(subject, requestId));
    await slots.release(subject, requestId);
    unreleased.delete(name);
  }

  return {
    async take(subject, requestId, most) {
      const taken = own.get(subject) ?? new Map<HoldId, Promise<boolean>>();
      if (taken.size >= most) throw refused(subject);
      const taking = slots.take(subject, requestId, most, new Date(clock.now())).catch(() => {
        unshared();
        return true;
      });
      own.set(subject, taken.set(requestId, taking));
      if (await taking) return;
      void forget(subject, requestId);
      throw refused(subject);
    },
    release(subject, requestId) {
      const taking = forget(subject, requestId);
      if (taking) void giveBack(subject, requestId, taking).catch(() => undefined);
    },
    isTight: (subject) => (tightUntil.get(subject) ?? 0) > clock.now(),
    async tick() {
      for (const [name, release] of unreleased) {
        await release();
        unreleased.delete(name);
      }
    },
  };
}
