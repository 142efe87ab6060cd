import type { HoldId, SessionId } from '../../domain/wire-types.ts';
import type { Clock } from '../../ports.ts';
import type { Tell } from '../../domain/facts.ts';

/** What is kept in memory at most while the database is away. */
const MOST_WAITING = 1000;
const LONGEST_WAIT_MS = 600_000;
const SAVED_AT_ONCE = 20;

export interface Unsaved {
  readonly sessionId: SessionId;
  readonly holdId: HoldId;
  readonly save: () => Promise<void>;
  readonly reason: string;
}

/** Messages the database could not take; bounded, because a long outage must not fill the memory. */
export interface SaveBuffer {
  add(unsaved: Unsaved): void;
  /** Tries all of them again; what is too old or one too many is reported as lost. */
  tick(): Promise<void>;
  readonly waiting: number;
}

export function createSaveBuffer({ clock, tell }: { clock: Clock; tell: Tell }): SaveBuffer {
  let waiting: (Unsaved & { since: number })[] = [];
  const lose = ({ sessionId, holdId }: Unsaved) => tell('message_lost', { sessionId, holdId });

  return {
    add(unsaved) {
      tell('background_failed', { task: 'messages', reason: unsaved.reason });
      waiting.push({ ...unsaved, since: clock.now() });
      if (waiting.length > MOST_WAITING) waiting.splice(0, 1).forEach(lose);
    },
    async tick() {
      const batch = waiting.splice(0, SAVED_AT_ONCE);
      while (batch.length > 0) {
        const results = await Promise.allSettled(batch.map(({ save }) => save()));
        const failed = batch.filter((_, at) => results[at]?.status === 'rejected');
        const [lost, kept] = partition(failed, ({ since }) => clock.now() - since > LONGEST_WAIT_MS);
        lost.forEach(lose);
        waiting = [...kept, ...waiting];
        if (failed.length > 0) return;
        batch.splice(0, batch.length, ...waiting.splice(0, SAVED_AT_ONCE));
      }
    },
    get waiting() {
      return waiting.length;
    },
  };
}

function partition<T>(items: readonly T[], isFirst: (item: T) => boolean): [T[], T[]] {
  return [items.filter(isFirst), items.filter((item) => !isFirst(item))];
}
