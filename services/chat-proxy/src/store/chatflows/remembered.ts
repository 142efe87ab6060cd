import { LRUCache } from 'lru-cache';

export interface RememberedOptions {
  /** Milliseconds for which another process's change may stay unseen. */
  readonly freshMs: number;
  readonly most: number;
  /** Milliseconds of a clock that never goes back; the process's own when absent. */
  readonly now?: () => number;
}

/** What is read all the time, by its key. What is not there is not remembered: it may be there a moment later. */
export interface Remembered<Value> {
  /** Whoever asks while the same is being read waits for that. */
  read(key: string): Promise<Value | undefined>;
  /** Past what is remembered. */
  readAnew(key: string): Promise<Value | undefined>;
  clear(): void;
}

interface Reading<Value> {
  readonly found: Promise<Value | undefined>;
  readonly start: number;
}

/** In this last part of its time a value that is asked for is read again, so that no answer waits for it. */
const AHEAD = 0.25;

export function remembered<Value extends object>(
  load: (key: string) => Promise<Value | undefined>,
  { freshMs, most, now = () => performance.now() }: RememberedOptions,
): Remembered<Value> {
  // For the cache 0 means for ever.
  const known = new LRUCache<string, Value>({ max: most, ttl: Math.max(1, freshMs), ttlResolution: 0, perf: { now } });
  const underWay = new Map<string, Reading<Value>>();

  async function readAnew(key: string): Promise<Value | undefined> {
    // What is read now is as old as the question, whatever the database takes for its answer.
    const reading = { found: load(key), start: now() };
    underWay.set(key, reading);
    try {
      const found = await reading.found;
      // Not what was read before a change of our own, or has been overtaken.
      if (underWay.get(key) !== reading) return found;
      if (found) known.set(key, found, { start: reading.start });
      else known.delete(key);
      return found;
    } finally {
      if (underWay.get(key) === reading) underWay.delete(key);
    }
  }

  return {
    readAnew,
    async read(key) {
      const value = known.get(key);
      const reading = underWay.get(key);
      const isBeingRead = reading !== undefined && now() - reading.start < freshMs;
      if (!value) return isBeingRead ? reading.found : readAnew(key);
      // When it fails, whoever comes after the value's time reads it anew.
      if (!isBeingRead && known.getRemainingTTL(key) < freshMs * AHEAD) void readAnew(key).catch(() => undefined);
      return value;
    },
    clear() {
      known.clear();
      underWay.clear();
    },
  };
}
