import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { manualClock, mongoDatabaseUrl } from '@tollgate/test-kit';
import {
  hasNewestSchema,
  type Migration,
  migrateDatabase,
  type Mongo,
  openMongo,
  runMigrations,
} from '../src/index.ts';
import { type Time, underLock } from '../src/migration-lock.ts';

const FIRST: Migration = {
  name: '0001-first',
  indexes: [{ collection: 'things', key: { name: 1 }, options: { name: 'name_unique', unique: true } }],
};
const SECOND: Migration = {
  name: '0002-second',
  indexes: [
    { collection: 'things', key: { owner: 1, at: -1 }, options: { name: 'owner_at' } },
    { collection: 'others', key: { endsAt: 1 }, options: { name: 'ended', expireAfterSeconds: 0 } },
  ],
};

let mongo: Mongo;
let url: string;
beforeEach(async () => {
  url = mongoDatabaseUrl();
  mongo = openMongo({ url, defaultDatabase: 'unused' });
  await mongo.connected;
});
afterEach(async () => {
  await mongo.db().dropDatabase();
  await mongo.close();
});

const indexesOf = async (collection: string) =>
  (await mongo.db().collection(collection).indexes()).map(({ name }) => name);
const lock = () => mongo.collection<{ _id: string; owner: string; until: Date }>('migration_lock');

describe('migrations', () => {
  it('are taken in order, once, also by processes that start together', async () => {
    const database = { url, defaultDatabase: 'unused' };
    const taken = await Promise.all([1, 2, 3].map(() => migrateDatabase(database, [FIRST, SECOND])));
    expect(taken.flat()).toEqual(['0001-first', '0002-second']);
    expect(await indexesOf('things')).toEqual(['_id_', 'name_unique', 'owner_at']);
    expect(await indexesOf('others')).toEqual(['_id_', 'ended']);
    expect(await lock().countDocuments()).toBe(0);
  });

  it('that a later version adds are the only ones it takes', async () => {
    expect(await runMigrations(mongo.db(), [FIRST])).toEqual(['0001-first']);
    expect(await hasNewestSchema(mongo.db(), [FIRST])).toBe(true);
    expect(await hasNewestSchema(mongo.db(), [FIRST, SECOND])).toBe(false);
    expect(await runMigrations(mongo.db(), [FIRST, SECOND])).toEqual(['0002-second']);
    expect(await hasNewestSchema(mongo.db(), [FIRST, SECOND])).toBe(true);
  });

  it('empty a collection only when it holds something, so that a role that may only add can take them', async () => {
    const step = { ...SECOND, name: '0003-third', clears: ['things', 'others'] };
    await runMigrations(mongo.db(), [FIRST, SECOND]);
    await mongo.db().collection('things').insertOne({ name: 'old' });
    expect(await runMigrations(mongo.db(), [FIRST, SECOND, step])).toEqual(['0003-third']);
    expect(await mongo.db().collection('things').countDocuments()).toBe(0);
    await mongo.db().collection('things').insertOne({ name: 'new' });
    expect(await runMigrations(mongo.db(), [FIRST, SECOND, step])).toEqual([]);
    expect(await mongo.db().collection('things').countDocuments()).toBe(1);
    await expect(runMigrations(mongo.db(), [FIRST, SECOND, { ...step, clears: [] }])).rejects.toThrow('was changed');
  });

  it('drop indexes when those that take their place are there, also when a step is taken again', async () => {
    await runMigrations(mongo.db(), [FIRST, SECOND]);
    const leaner: Migration = {
      name: '0003-leaner',
      indexes: [
        {
          collection: 'things',
          key: { owner: 1, at: -1 },
          options: { name: 'owner_at_shown', partialFilterExpression: { shown: { $gt: 0 } } },
        },
      ],
      drops: [
        { collection: 'things', name: 'owner_at' },
        { collection: 'others', name: 'ended' },
      ],
    };
    const steps = [FIRST, SECOND, leaner];
    // It failed in the middle when it was taken before.
    await mongo.db().collection('others').dropIndex('ended');
    expect(await runMigrations(mongo.db(), steps)).toEqual(['0003-leaner']);
    expect(await indexesOf('things')).toEqual(['_id_', 'name_unique', 'owner_at_shown']);
    expect(await indexesOf('others')).toEqual(['_id_']);
    const fewer = { ...leaner, drops: leaner.drops?.slice(1) ?? [] };
    await expect(runMigrations(mongo.db(), [FIRST, SECOND, fewer])).rejects.toThrow('was changed');
  });

  it('refuse a database that is newer, and a step that was changed after it was taken', async () => {
    await runMigrations(mongo.db(), [FIRST, SECOND]);
    await expect(runMigrations(mongo.db(), [FIRST])).rejects.toThrow('newer than this version: it has 0002-second');
    const changed = { ...SECOND, indexes: SECOND.indexes.slice(1) };
    await expect(runMigrations(mongo.db(), [FIRST, changed])).rejects.toThrow('0002-second was changed');
    expect(await hasNewestSchema(mongo.db(), [FIRST, changed])).toBe(false);
    expect(await lock().countDocuments()).toBe(0);
  });

  it('go on after a step that failed in the middle, when its reason is gone', async () => {
    await mongo.collection('things').insertMany([{ name: 'twice' }, { name: 'twice' }]);
    await expect(runMigrations(mongo.db(), [SECOND, FIRST])).rejects.toMatchObject({ code: 11_000 });
    await mongo.collection('things').deleteOne({ name: 'twice' });
    expect(await runMigrations(mongo.db(), [SECOND, FIRST])).toEqual(['0001-first']);
  });

  it('accept a step from before hashes were kept', async () => {
    await mongo.collection<{ _id: string }>('migrations').insertOne({ _id: FIRST.name });
    expect(await runMigrations(mongo.db(), [FIRST])).toEqual([]);
    expect(await hasNewestSchema(mongo.db(), [FIRST])).toBe(true);
  });

  it('of a database that cannot be reached fail with the reason', async () => {
    const away = { url: 'mongodb://127.0.0.1:1/away', defaultDatabase: 'unused' };
    await expect(migrateDatabase(away, [FIRST])).rejects.toThrow('ECONNREFUSED');
  });
});

describe('the lock', () => {
  const LEASE_MS = 15_000;

  /** Whoever waits for the lock moves the clock; the owner's renewals are `renewing`. */
  const timeOf = (renewing: Time['pause']): Time & ReturnType<typeof manualClock> => {
    const clock = manualClock();
    return { ...clock, pause: async (ms, done) => (done ? renewing(ms, done) : clock.advance(ms)) };
  };
  const never = async (_ms: number, done?: AbortSignal) => void (done && (await once(done, 'abort')));

  it('of an owner that died is taken over when its lease of 15 s has run out, and not before', async () => {
    const time = timeOf(never);
    const began = time.now();
    await lock().insertOne({ _id: 'lock', owner: 'dead', until: new Date(began + LEASE_MS) });
    expect(await runMigrations(mongo.db(), [FIRST], time)).toEqual(['0001-first']);
    const waited = time.now() - began;
    expect(waited).toBeGreaterThanOrEqual(LEASE_MS);
    expect(waited).toBeLessThan(LEASE_MS + 1000);
  });

  it('is leased for no longer than 15 s, and removed at the end', async () => {
    const time = timeOf(never);
    const until = await underLock(mongo.db(), async () => (await lock().findOne())?.until, time);
    expect(until?.getTime()).toBe(time.now() + LEASE_MS);
    expect(await lock().countDocuments()).toBe(0);
  });

  it('of an owner that lives is not taken over, however long its work takes', async () => {
    const order: string[] = [];
    const underWay = Promise.withResolvers<void>();
    const time: ReturnType<typeof timeOf> = timeOf(async (ms) => time.advance(ms));
    const began = time.now();
    const first = underLock(
      mongo.db(),
      async () => {
        underWay.resolve();
        // Each renewal moves the clock by the time it waited for.
        while (time.now() < began + 4 * LEASE_MS) await lock().findOne();
        order.push('first');
      },
      time,
    );
    await underWay.promise;
    const patient = { now: time.now, pause: async () => void (await lock().findOne()) };
    const second = underLock(mongo.db(), async () => order.push('second'), patient);
    await Promise.all([first, second]);
    expect(order).toEqual(['first', 'second']);
  });

  it('that nobody gives back is given up after ten minutes', async () => {
    const time = timeOf(never);
    await lock().insertOne({ _id: 'lock', owner: 'busy', until: new Date(time.now() + 3_600_000) });
    await expect(runMigrations(mongo.db(), [FIRST], time)).rejects.toThrow('another process holds the migration lock');
  });
});
