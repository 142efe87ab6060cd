import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Mongo, openMongo, runMigrations } from '@tollgate/mongo-kit';
import { mongoDatabaseUrl, newUserId } from '@tollgate/test-kit';
import type { UserId } from '../../src/domain/wire-types.ts';
import { MIGRATIONS } from '../../src/store/migrations.ts';
import { openHolds } from '../../src/store/open-holds.ts';
import { holdId } from '../fixtures/doubles.ts';

const NOW = new Date('2030-01-01T00:00:00Z');
const after = (seconds: number) => new Date(NOW.getTime() + seconds * 1000);
const userId = () => newUserId() as UserId;

let mongo: Mongo;
beforeAll(async () => {
  mongo = openMongo({ url: mongoDatabaseUrl(), defaultDatabase: 'unused' });
  await mongo.connected;
  await runMigrations(mongo.db(), MIGRATIONS);
});
afterAll(() => mongo.close());

describe('the journal', () => {
  const owner = () => ({ holdId: holdId(), userId: userId() });

  it('hands a row whose owner is silent to one of two others, with what its owner knew', async () => {
    const [mine, theirs, others] = ['a', 'b', 'c'].map(() => openHolds(mongo, randomUUID(), 'default'));
    if (!mine || !theirs || !others) throw new Error('three journals');
    const hold = owner();
    await mine.open(hold, after(30));
    await mine.checkpoint([{ holdId: hold.holdId, fence: 3, units: { output: 5 } }], after(30));
    expect(await theirs.adopt(after(29), after(90), 10)).toEqual([]);
    expect(await mine.adopt(after(31), after(90), 10)).toEqual([]);
    const adopted = await Promise.all([theirs.adopt(after(31), after(90), 10), others.adopt(after(31), after(90), 10)]);
    expect(adopted.flat()).toEqual([{ ...hold, checkpoint: { output: 5 } }]);
    // Its owner is alive after all: what it writes still counts.
    await mine.checkpoint([{ holdId: hold.holdId, fence: 3, units: { output: 6 } }], after(100));
    expect(await theirs.adopt(after(101), after(190), 10)).toEqual([{ ...hold, checkpoint: { output: 6 } }]);
    await theirs.close(hold.holdId);
  });

  it('knows the request that a hold was taken for, and since when a row has had no owner', async () => {
    const [mine, theirs] = [openHolds(mongo, randomUUID(), 'default'), openHolds(mongo, randomUUID(), 'default')];
    expect(await mine.firstLeaseEnd()).toBeUndefined();
    const origin = { requestId: 'asked-0001', traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };
    const [hold, later] = [owner(), owner()];
    await mine.open(later, after(60));
    await mine.open({ ...hold, origin }, after(30));
    expect(await theirs.firstLeaseEnd()).toEqual(after(30));
    expect(await theirs.adopt(after(31), after(90), 10)).toEqual([{ ...hold, origin }]);
    expect(await mine.firstLeaseEnd()).toEqual(after(60));
    await Promise.all([hold, later].map(({ holdId: id }) => mine.close(id)));
  });

  it('writes what comes at once in few commands, and a row that is refused keeps no other out', async () => {
    const mine = openHolds(mongo, randomUUID(), 'default');
    const before = await mine.count();
    const twice = owner();
    await mine.open(twice, after(30));
    const holds = Array.from({ length: 40 }, owner);
    const wanted = [...holds.slice(0, 20), twice, ...holds.slice(20)];
    const opened = await Promise.allSettled(wanted.map((hold) => mine.open(hold, after(30))));
    expect(opened.map(({ status }) => status)).toEqual(
      wanted.map((hold) => (hold === twice ? 'rejected' : 'fulfilled')),
    );
    const ending = { kind: 'void', reason: 'a test' } as const;
    await Promise.all(holds.map((hold) => mine.conclude(hold, ending, after(30))));
    const adopted = await openHolds(mongo, randomUUID(), 'default').adopt(after(31), after(90), 100);
    expect(
      adopted
        .filter((row) => row.ending !== undefined)
        .map(({ holdId: id }) => id)
        .toSorted(),
    ).toEqual(holds.map(({ holdId: id }) => id).toSorted());
    await Promise.all([twice, ...holds].map(({ holdId: id }) => mine.close(id)));
    expect(await mine.count()).toBe(before);
  });

  it('lets rows go together that are given up one after another, for nobody waits for that', async () => {
    const deletions: number[] = [];
    const counted = (name: string) => {
      const rows = mongo.collection(name);
      const deleteMany = rows.deleteMany.bind(rows);
      rows.deleteMany = async (...given) => {
        const done = await deleteMany(...given);
        deletions.push(done.deletedCount);
        return done;
      };
      return rows;
    };
    const mine = openHolds({ ...mongo, collection: counted as Mongo['collection'] }, randomUUID(), 'default');
    const holds = Array.from({ length: 20 }, owner);
    await Promise.all(holds.map((hold) => mine.open(hold, after(30))));
    const closed: Promise<void>[] = [];
    for (const { holdId: id } of holds) {
      closed.push(mine.close(id));
      await new Promise((resolve) => void setImmediate(resolve));
    }
    await Promise.all(closed);
    expect(deletions.reduce((sum, count) => sum + count, 0)).toBe(20);
    expect(deletions.length).toBeLessThan(5);
    expect(await Promise.all(holds.map(({ holdId: id }) => mine.has(id)))).not.toContain(true);
  });

  it('lets no late write undo a newer checkpoint', async () => {
    const [mine, theirs] = [openHolds(mongo, randomUUID(), 'default'), openHolds(mongo, randomUUID(), 'default')];
    const hold = owner();
    await mine.open(hold, after(30));
    await mine.checkpoint([{ holdId: hold.holdId, fence: 1, units: { output: 9 } }], after(32));
    await mine.checkpoint([{ holdId: hold.holdId, fence: 1, units: { output: 5 } }], after(31));
    expect(await theirs.adopt(after(33), after(90), 10)).toEqual([{ ...hold, checkpoint: { output: 9 } }]);
    await theirs.close(hold.holdId);
  });

  it('hands a decided end back to its own process, too, once its lease has run out', async () => {
    const mine = openHolds(mongo, randomUUID(), 'default');
    const hold = owner();
    const ending = { kind: 'void', reason: 'refused' } as const;
    await mine.open(hold, after(30));
    await mine.conclude(hold, ending, after(30));
    expect(await mine.adopt(after(31), after(90), 10)).toEqual([{ ...hold, ending }]);
    expect(await mine.adopt(after(31), after(90), 10)).toEqual([]);
    await mine.close(hold.holdId);
  });

  it('keeps the decided end of a hold, and no checkpoint after it', async () => {
    const [mine, theirs] = [openHolds(mongo, randomUUID(), 'default'), openHolds(mongo, randomUUID(), 'default')];
    const hold = owner();
    const ending = {
      kind: 'settle',
      outcome: 'completed',
      units: { request: 1 },
      usageSource: 'flat',
      rawUsage: { a: 1 },
    } as const;
    await mine.open(hold, after(30));
    await mine.conclude(hold, ending, after(30));
    await mine.checkpoint([{ holdId: hold.holdId, fence: 1, units: { output: 9 } }], after(300));
    expect(await theirs.adopt(after(31), after(90), 10)).toEqual([{ ...hold, ending }]);
    await theirs.close(hold.holdId);
    await mine.conclude(hold, ending, after(30));
    expect(await mine.count()).toBe(0);
  });
});
