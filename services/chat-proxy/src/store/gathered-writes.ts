import { createGather } from '@tollgate/http-kit';
import type { Mongo } from '@tollgate/mongo-kit';
import { mongo } from 'mongoose';

const MOST_WRITES = 100;
/** Beside what a slow write takes, that is nothing. */
const PATIENCE_MS = 10;

interface Writes<Item> {
  readonly one: (item: Item) => Promise<unknown>;
  /** One command, unordered: what the database refuses of it keeps none of the others out. */
  readonly many: (items: readonly Item[]) => Promise<unknown>;
}

/**
 * Writes of one kind, of which those that come while one is under way go in one command. Each resolves when the database has
 * acknowledged it, and fails alone when the database has refused it alone.
 */
export const gatheredWrites = <Item>({ run }: Pick<Mongo, 'run'>, { one, many }: Writes<Item>) =>
  createGather<Item, void>({
    mostItems: MOST_WRITES,
    patienceMs: PATIENCE_MS,
    run: async (items) => {
      const [only] = items;
      try {
        await run(() => (items.length === 1 && only !== undefined ? one(only) : many(items)));
        return items.map(() => DONE);
      } catch (error) {
        const refused = refusedIn(error);
        if (!refused) throw error;
        return items.map((_, at) => (refused.has(at) ? { status: 'rejected', reason: error } : DONE));
      }
    },
  });

const DONE = { status: 'fulfilled', value: undefined } as const;

/** The places of those that were refused, when that is all that went wrong. */
function refusedIn(error: unknown): Set<number> | undefined {
  if (!(error instanceof mongo.MongoBulkWriteError) || error.result.getWriteConcernError()) return undefined;
  const refused = new Set([error.writeErrors].flat().map(({ index }) => index));
  return refused.size > 0 ? refused : undefined;
}
