import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { mongo } from 'mongoose';
import type { Migration } from './migration.ts';
import { firstCollections } from './migrations/0001-first-collections.ts';
import { isDuplicate } from './mongo.ts';

export const MIGRATIONS: readonly Migration[] = [firstCollections];

interface Step {
  readonly _id: string;
  readonly hash: string;
  readonly applied_at: Date;
}
interface Lock {
  readonly _id: 'lock';
  readonly owner: string;
  readonly until: Date;
}

const LOCK_MS = 300_000;
const LOCK_WAIT_MS = 500;
const LOCK_TRIES = 240;

/**
 * Brings the database to the newest schema, one process at a time; gives the names of the steps it took.
 * @throws Error when the database is newer than this version, or a released step was changed.
 */
export async function runMigrations(db: mongo.Db, steps: readonly Migration[] = MIGRATIONS): Promise<string[]> {
  const locks = db.collection<Lock>('migration_lock');
  const owner = randomUUID();
  await acquire(locks, owner);
  try {
    return await applyMissing(db, steps);
  } finally {
    await locks.deleteOne({ _id: 'lock', owner });
  }
}

async function applyMissing(db: mongo.Db, steps: readonly Migration[]): Promise<string[]> {
  const history = db.collection<Step>('migrations');
  const applied = new Map((await history.find().toArray()).map(({ _id, hash }) => [_id, hash]));
  const unknown = [...applied.keys()].filter((name) => !steps.some((step) => step.name === name));
  if (unknown.length > 0) throw new Error(`the database is newer than this version: ${unknown.join(', ')}`);
  const changed = steps.filter((step) => applied.has(step.name) && applied.get(step.name) !== hashOf(step));
  if (changed.length > 0)
    throw new Error(`released migrations were changed: ${changed.map(({ name }) => name).join(', ')}`);
  const missing = steps.filter(({ name }) => !applied.has(name));
  for (const step of missing) {
    for (const { collection, key, options } of step.indexes) await db.collection(collection).createIndex(key, options);
    await history.insertOne({ _id: step.name, hash: hashOf(step), applied_at: new Date() });
  }
  return missing.map(({ name }) => name);
}

const hashOf = (step: Migration): string => createHash('sha256').update(JSON.stringify(step.indexes)).digest('hex');

/** A lock whose owner died is free again after five minutes. */
async function acquire(locks: mongo.Collection<Lock>, owner: string): Promise<void> {
  for (let attempt = 0; attempt < LOCK_TRIES; attempt += 1) {
    const now = Date.now();
    try {
      await locks.updateOne(
        { _id: 'lock', until: { $lte: new Date(now) } },
        { $set: { owner, until: new Date(now + LOCK_MS) } },
        { upsert: true },
      );
      return;
    } catch (error) {
      if (!isDuplicate(error)) throw error;
      await pause(LOCK_WAIT_MS);
    }
  }
  throw new Error('another process holds the migration lock');
}
