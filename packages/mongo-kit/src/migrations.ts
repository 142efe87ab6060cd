import { createHash } from 'node:crypto';
import type { mongo } from 'mongoose';
import { isMissingIndex } from './faults.ts';
import { systemTime, type Time, underLock } from './migration-lock.ts';
import { type MongoOptions, openMongo } from './open-mongo.ts';

/** One step of a schema's history, as plain values, so that a change of a released step is noticed. */
export interface Migration {
  readonly name: string;
  /** Emptied before, when something is in them: rows of a shape that no release has written. */
  readonly clears?: readonly string[];
  /** Made when they are missing; the collections come into being with them. */
  readonly indexes: readonly {
    readonly collection: string;
    readonly key: Readonly<Record<string, 1 | -1>>;
    readonly options: mongo.CreateIndexesOptions & { readonly name: string };
  }[];
  /** Indexes that nobody asks by any more; they go when the new ones are there. */
  readonly drops?: readonly { readonly collection: string; readonly name: string }[];
}

/** A step that was taken. Lines from before hashes were kept have none. */
interface Taken {
  readonly _id: string;
  readonly hash?: string;
  readonly appliedAt: Date;
}

/**
 * Connects, brings the database to the newest schema, and gives the names of the steps it took.
 * @throws the connection's error when the database cannot be reached; else as {@link runMigrations}.
 */
export async function migrateDatabase(
  options: Pick<MongoOptions, 'url' | 'defaultDatabase'>,
  steps: readonly Migration[],
): Promise<string[]> {
  const { promise: unreachable, reject } = Promise.withResolvers<never>();
  const database = openMongo({ ...options, onFault: reject });
  try {
    await Promise.race([database.connected, unreachable]);
    return await runMigrations(database.db(), steps);
  } finally {
    await database.close();
  }
}

/**
 * Brings the database to the newest schema, one process at a time, and gives the names of the steps it took.
 * @throws Error when the database is newer than this version, or a step that was taken has changed since.
 */
export async function runMigrations(
  db: mongo.Db,
  steps: readonly Migration[],
  time: Time = systemTime,
): Promise<string[]> {
  return underLock(db, () => takeMissing(db, steps, time), time);
}

/** Whether every step was taken as it is. */
export async function hasNewestSchema(db: mongo.Db, steps: readonly Migration[]): Promise<boolean> {
  const taken = await history(db).find().toArray();
  return steps.every((step) => taken.some((line) => isAsTaken(step, line)));
}

const history = (db: mongo.Db) => db.collection<Taken>('migrations');

async function takeMissing(db: mongo.Db, steps: readonly Migration[], time: Time): Promise<string[]> {
  const taken = new Map((await history(db).find().toArray()).map((line) => [line._id, line]));
  refuseOthers(taken, steps);
  const missing = steps.filter(({ name }) => !taken.has(name));
  for (const step of missing) {
    for (const collection of step.clears ?? []) await clear(db, collection);
    await createIndexes(db, step);
    for (const { collection, name } of step.drops ?? []) await dropIndex(db.collection(collection), name);
    const line = { hash: hashOf(step), appliedAt: new Date(time.now()) };
    await history(db).updateOne({ _id: step.name }, { $setOnInsert: line }, { upsert: true });
  }
  return missing.map(({ name }) => name);
}

/** Those of one collection in one command, which its lock would make wait for each other anyway. */
async function createIndexes(db: mongo.Db, { indexes }: Migration): Promise<void> {
  for (const [collection, own] of Map.groupBy(indexes, (index) => index.collection))
    await db.collection(collection).createIndexes(own.map(({ key, options }) => ({ key, ...options })));
}

/** A step that failed in the middle is taken again. */
async function dropIndex(rows: mongo.Collection, name: string): Promise<void> {
  await rows.dropIndex(name).catch((error: unknown) => {
    if (!isMissingIndex(error)) throw error;
  });
}

/** Asked for first: the role of a service may not be allowed to remove what is in a collection that it only adds to. */
async function clear(db: mongo.Db, collection: string): Promise<void> {
  if ((await db.collection(collection).findOne({})) !== null) await db.collection(collection).deleteMany({});
}

function refuseOthers(taken: ReadonlyMap<string, Taken>, steps: readonly Migration[]): void {
  for (const [name, line] of taken) {
    const step = steps.find((candidate) => candidate.name === name);
    if (!step) throw new Error(`the database is newer than this version: it has ${name}`);
    if (!isAsTaken(step, line)) throw new Error(`the migration ${name} was changed after it was taken`);
  }
}

const isAsTaken = (step: Migration, { _id, hash }: Taken): boolean =>
  _id === step.name && (hash === undefined || hash === hashOf(step));

const hashOf = ({ clears, indexes, drops }: Migration): string =>
  createHash('sha256')
    .update(JSON.stringify(clears || drops ? { clears, indexes, drops } : indexes))
    .digest('hex');
