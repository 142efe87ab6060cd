import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { mongo } from 'mongoose';
import type { Migration } from './migration.ts';
import { accountsAndSessions } from './migrations/0001-accounts-and-sessions.ts';
import { isDuplicate } from './mongo.ts';

const MIGRATIONS: readonly Migration[] = [accountsAndSessions];

type Step = { _id: string; appliedAt: Date };
type Lock = { _id: 'lock'; owner: string; until: Date };

const LOCK_MS = 15_000;
const LOCK_RENEW_MS = 3_000;
const LOCK_WAIT_MS = 250;
/** A long migration of another process is waited for as long as that process renews its lock, up to ten minutes. */
const LOCK_TRIES = 2_400;

/**
 * Brings the database to the newest schema, one process at a time, and gives the names of the steps it took.
 * @throws Error when the database has steps that this version does not know: it belongs to a newer version.
 */
export async function runMigrations(db: mongo.Db, steps: readonly Migration[] = MIGRATIONS): Promise<string[]> {
  const locks = db.collection<Lock>('migration_lock');
  const owner = randomUUID();
  await acquire(locks, owner);
  const renewal = setInterval(() => {
    // A renewal that fails shortens the lease; the next one may succeed, and the steps themselves can be repeated.
    locks.updateOne({ _id: 'lock', owner }, { $set: { until: new Date(Date.now() + LOCK_MS) } }).catch(() => undefined);
  }, LOCK_RENEW_MS);
  try {
    return await applyMissing(db, steps);
  } finally {
    clearInterval(renewal);
    await locks.deleteOne({ _id: 'lock', owner });
  }
}

/** Whether every step of this version was taken. */
export async function hasNewestSchema(db: mongo.Db): Promise<boolean> {
  const names = MIGRATIONS.map(({ name }) => name);
  return (await db.collection<Step>('migrations').countDocuments({ _id: { $in: names } })) === names.length;
}

async function applyMissing(db: mongo.Db, steps: readonly Migration[]): Promise<string[]> {
  const history = db.collection<Step>('migrations');
  const applied = new Set((await history.find().toArray()).map(({ _id }) => _id));
  const unknown = [...applied].filter((name) => !steps.some((step) => step.name === name));
  if (unknown.length > 0) throw new Error(`the database is newer than this version: ${unknown.join(', ')}`);
  const missing = steps.filter(({ name }) => !applied.has(name));
  for (const { name, up } of missing) {
    await up(db);
    await history.insertOne({ _id: name, appliedAt: new Date() });
  }
  return missing.map(({ name }) => name);
}

/** A lock whose owner died is free again when its lease has run out. */
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
