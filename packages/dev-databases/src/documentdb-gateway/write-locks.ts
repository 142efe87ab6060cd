import type { Catalog, Namespace } from './catalog.ts';
import { isConflict } from './errors.ts';

const ATTEMPTS = 30;
const LONGEST_PAUSE_MS = 40;

export type WriteKind = {
  /** Can add a document or change a unique value. */
  mayInsert: boolean;
  /** Adds one only after it found none. */
  isUpsert: boolean;
};

export type WriteLocks = {
  /** Runs a write outside transactions, again when it lost against another one: MongoDB never shows that to clients. */
  run<T>(namespace: Namespace, kind: WriteKind, write: () => Promise<T>): Promise<T>;
};

/**
 * DocumentDB keeps unique values apart with exclusion constraints. Two writers of the same value then wait for each
 * other until one is ended as a deadlock, and of many simultaneous upserts of one `_id` several report an insertion.
 * MongoDB has neither, so writes that can meet in this way take turns per collection.
 */
export function createWriteLocks(catalog: Catalog): WriteLocks {
  const inTurn = createLocks();
  return {
    run: async ({ database, collection }, { mayInsert, isUpsert }, write) => {
      const mustWait = isUpsert || (mayInsert && (await catalog.uniqueIndexes(database, collection)).length > 0);
      return mustWait ? inTurn(`${database}.${collection}`, () => untilSettled(write)) : untilSettled(write);
    },
  };
}

async function untilSettled<T>(write: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await write();
    } catch (error) {
      if (!isConflict(error) || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * LONGEST_PAUSE_MS));
    }
  }
}

/** Lets one caller at a time through for each key, in the order they came. */
function createLocks(): <T>(key: string, act: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>();
  return async (key, act) => {
    const turn = (last.get(key) ?? Promise.resolve()).then(act);
    const settled = turn.catch(() => undefined);
    last.set(key, settled);
    await settled;
    if (last.get(key) === settled) last.delete(key);
    return turn;
  };
}
