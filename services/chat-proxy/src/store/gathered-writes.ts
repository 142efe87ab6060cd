import { setImmediate as nextTurn } from 'node:timers/promises';
import { createGather } from '@tollgate/http-kit';
import { type Mongo, troubleOf } from '@tollgate/mongo-kit';
import { mongo } from 'mongoose';

const MOST_WRITES = 100;
/** Beside what a slow write takes, that is nothing. */
const PATIENCE_MS = 25;
/** For what nobody waits for: so long, or until they are so many. */
const LONG_PATIENCE_MS = 200;
const PATIENT_WRITES = 20;
/** An answer waits for its new rows, and for no rows of another one while there is little to do. */
const FEW_INSERTS = 2;

type Run = Pick<Mongo, 'run'>;

interface Writes<Item, Result> {
  readonly one: (item: Item) => Promise<Result>;
  /** One command, unordered, with an outcome for each item in their order. May be done again in part or as a whole. */
  readonly many: (items: readonly Item[]) => Promise<readonly Result[]>;
  /** Nobody waits for them to be acknowledged: also the first one waits for company. */
  readonly isPatient?: boolean;
}

/**
 * Writes of one kind, of which those that come while one is under way go in one command. Each resolves when the database has
 * acknowledged it, and fails alone when the database has refused it alone.
 */
export const gatheredWrites = <Item, Result>({ run }: Run, { one, many, isPatient = false }: Writes<Item, Result>) =>
  createGather<Item, Result>({
    mostItems: isPatient ? PATIENT_WRITES : MOST_WRITES,
    patienceMs: isPatient ? LONG_PATIENCE_MS : PATIENCE_MS,
    isPatient,
    run: async (items) => {
      const alone = () => Promise.allSettled(items.map((item) => run(() => one(item))));
      if (items.length === 1) return alone();
      try {
        return (await run(() => many(items))).map(fulfilled);
      } catch (error) {
        // A database that is away is away for each of them; else one of them may be what it does not take.
        if (troubleOf(error)) throw error;
        return alone();
      }
    },
  });

/** New rows, none of which may be written twice. */
export function gatheredInserts<Row extends mongo.Document>({ run }: Run, rows: () => mongo.Collection<Row>) {
  type NewRow = mongo.OptionalUnlessRequiredId<Row>;
  // A command for many costs the driver a third more than one for one, and at most times there is but one.
  const alone = (items: readonly NewRow[]) =>
    Promise.allSettled(items.map((item) => run(async () => void (await rows().insertOne(item)))));
  const insert = createGather<NewRow, void>({
    mostItems: MOST_WRITES,
    patienceMs: PATIENCE_MS,
    fewUnderWay: FEW_INSERTS,
    run: async (items) => {
      if (items.length === 1) return alone(items);
      try {
        await run(() => rows().insertMany(items, { ordered: false }));
        return items.map(() => fulfilled(undefined));
      } catch (error) {
        const refused = refusedIn(error);
        if (refused) return items.map((_, at) => (refused.has(at) ? rejected(error) : fulfilled(undefined)));
        if (!isUnsent(error)) throw error;
        return alone(items);
      }
    },
  });
  return async (row: NewRow): Promise<void> => {
    // The hold is asked for in the same turn, and takes longer: it goes out first.
    await nextTurn();
    await insert(row);
  };
}

const fulfilled = <Value>(value: Value) => ({ status: 'fulfilled', value }) as const;
const rejected = (reason: unknown) => ({ status: 'rejected', reason }) as const;

/** The places of those that were refused, when that is all that went wrong. */
function refusedIn(error: unknown): Set<number> | undefined {
  if (!(error instanceof mongo.MongoBulkWriteError) || error.result.getWriteConcernError()) return undefined;
  const refused = new Set([error.writeErrors].flat().map(({ index }) => index));
  return refused.size > 0 ? refused : undefined;
}

/** What the driver itself refuses, such as a row that is too large: nothing of the batch has left. */
const isUnsent = (error: unknown): boolean =>
  troubleOf(error) === undefined && (error instanceof mongo.MongoAPIError || error instanceof mongo.BSON.BSONError);
