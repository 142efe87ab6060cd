import { LRUCache } from 'lru-cache';

export interface RememberedOptions {
  /** Milliseconds for which another process's change may stay unseen. */
  readonly freshMs: number;
  readonly most: number;
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

export function remembered<Value extends object>(
  load: (key: string) => Promise<Value | undefined>,
  { freshMs, most }: RememberedOptions,
): Remembered<Value> {
  // For the cache 0 means for ever.
  const known = new LRUCache<string, Value>({ max: most, ttl: Math.max(1, freshMs) });
  const underWay = new Map<string, Reading<Value>>();

  async function readAnew(key: string): Promise<Value | undefined> {
    // What is read now is as old as the question, whatever the database takes for its answer.
    const reading = { found: load(key), start: performance.now() };
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
      if (value) return value;
      const reading = underWay.get(key);
      return reading && performance.now() - reading.start < freshMs ? reading.found : readAnew(key);
    },
    clear() {
      known.clear();
      underWay.clear();
    },
  };
}
