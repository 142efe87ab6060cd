import { randomUUID } from 'node:crypto';
import { setTimeout as timer } from 'node:timers/promises';
import type { mongo } from 'mongoose';
import { isDuplicate } from './faults.ts';

/** What a lock needs to know of time; a test moves it by hand. */
export interface Time {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Resolves after `ms` milliseconds; rejects when the signal is aborted before. */
  pause(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemTime: Time = {
  now: () => Date.now(),
  pause: (ms, signal) => timer(ms, undefined, { signal }),
};

interface Lock {
  readonly _id: 'lock';
  readonly owner: string;
  readonly until: Date;
}

/** Short, because the next process waits for it when an owner was killed; an owner that lives renews it. */
const LEASE_MS = 15_000;
const RENEW_MS = 3000;
const LOOK_AGAIN_MS = 250;
const LONGEST_WAIT_MS = 600_000;

/**
 * Does `work` while no other process does the like on this database.
 * @throws Error when somebody else has not finished after ten minutes.
 */
export async function underLock<T>(db: mongo.Db, work: () => Promise<T>, time: Time): Promise<T> {
  const lease: Lease = { locks: db.collection<Lock>('migration_lock'), owner: randomUUID(), time };
  await acquire(lease);
  const done = new AbortController();
  const renewal = renewUntil(done.signal, lease);
  try {
    return await work();
  } finally {
    done.abort();
    await renewal;
    // A lock that cannot be removed ends with its lease.
    await lease.locks.deleteOne({ _id: 'lock', owner: lease.owner }).catch(() => undefined);
  }
}

interface Lease {
  readonly locks: mongo.Collection<Lock>;
  readonly owner: string;
  readonly time: Time;
}

async function acquire({ locks, owner, time }: Lease): Promise<void> {
  const giveUpAt = time.now() + LONGEST_WAIT_MS;
  while (time.now() < giveUpAt) {
    const now = time.now();
    try {
      await locks.updateOne(
        { _id: 'lock', until: { $lte: new Date(now) } },
        { $set: { owner, until: new Date(now + LEASE_MS) } },
        { upsert: true },
      );
      return;
    } catch (error) {
      // The lock exists and its lease runs: the insert of the upsert has met it.
      if (!isDuplicate(error)) throw error;
      await time.pause(LOOK_AGAIN_MS);
    }
  }
  throw new Error('another process holds the migration lock');
}

async function renewUntil(done: AbortSignal, { locks, owner, time }: Lease): Promise<void> {
  while (!done.aborted) {
    await time.pause(RENEW_MS, done).catch(() => undefined);
    if (done.aborted) return;
    const until = new Date(time.now() + LEASE_MS);
    // A renewal that fails shortens the lease; the next one may succeed, and a step can be taken twice.
    await locks.updateOne({ _id: 'lock', owner }, { $set: { until } }).catch(() => undefined);
  }
}
