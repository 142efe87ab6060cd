import { describe, expect, it } from '@jest/globals';
import { Long, MongoClient, MongoServerError } from 'mongodb';
import type { Document } from 'mongodb';

import { expireDocuments } from '../src/index.ts';
import { numbered, useMongo } from './conformance.ts';
import type { Doc } from './conformance.ts';
import { openLine } from './line.ts';

const mongo = useMongo();

describe('simultaneous work', () => {
  it('gives each of 50 claims another document', async () => {
    await mongo.things.insertMany(numbered(50, () => ({ state: 'free' })));
    const claim = (by: number) =>
      mongo.things.findOneAndUpdate({ state: 'free' }, { $set: { state: 'taken', by } }, { sort: { _id: 1 } });
    const claimed = await Promise.all(Array.from({ length: 50 }, (_, by) => claim(by)));
    expect(new Set(claimed.map((thing) => thing?._id)).size).toBe(50);
    expect(await claim(99)).toBeNull();
  });

  it('tells exactly one of many first comers that its upsert was the insertion', async () => {
    const results = await Promise.all(
      Array.from({ length: 50 }, () => mongo.things.updateOne({ _id: 'lease' }, { $inc: { n: 1 } }, { upsert: true })),
    );
    expect(results.filter(({ upsertedCount }) => upsertedCount === 1)).toHaveLength(1);
    expect(await mongo.things.findOne()).toEqual({ _id: 'lease', n: 50 });
  });

  it('stores 200 parallel inserts into a collection that does not exist yet', async () => {
    await Promise.all(numbered(200, (n) => ({ text: `number ${n}` })).map((thing) => mongo.things.insertOne(thing)));
    expect(await mongo.things.countDocuments()).toBe(200);
  });

  it('makes the same index once for many callers', async () => {
    await Promise.all(Array.from({ length: 20 }, () => mongo.things.createIndex({ a: 1 }, { unique: true })));
    expect(await mongo.things.indexes()).toHaveLength(2);
  });
});

describe('cursors', () => {
  it('hand out a large result in many pages, plain, sorted and aggregated', async () => {
    await mongo.things.insertMany(numbered(5_000, (n) => ({ n: n % 97, text: 'x'.repeat(400) })));
    expect(await mongo.things.find().batchSize(700).toArray()).toHaveLength(5_000);
    const sorted = await mongo.things.find().sort({ n: 1, _id: 1 }).batchSize(900).project({ n: 1 }).toArray();
    const order = sorted.map(({ n, _id }) => n * 10_000 + _id);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    const grouped = await mongo.things.aggregate([{ $group: { _id: '$_id' } }], { batchSize: 1_000 }).toArray();
    expect(new Set(grouped.map(({ _id }) => _id)).size).toBe(5_000);
  });

  it('can be left half read, by many readers at once', async () => {
    await mongo.things.insertMany(numbered(1_000));
    const half = async (sort: Document) => {
      let seen = 0;
      for await (const _ of mongo.things.find().sort(sort).batchSize(50)) {
        seen += 1;
        if (seen === 120) break;
      }
      return seen;
    };
    const readers = Array.from({ length: 80 }, (_, n) => half(n % 2 === 0 ? {} : { _id: -1 }));
    expect(new Set(await Promise.all(readers))).toEqual(new Set([120]));
  });

  it('are unknown after they were killed', async () => {
    await mongo.things.insertMany(numbered(300));
    const first = await mongo.db.command({ find: 'things', batchSize: 10 });
    await mongo.db.command({ killCursors: 'things', cursors: [first['cursor'].id] });
    const more = mongo.db.command({ getMore: Long.fromValue(first['cursor'].id), collection: 'things' });
    await expect(more).rejects.toMatchObject({ code: 43 });
  });
});

describe('transactions', () => {
  it('keep everything or nothing', async () => {
    await mongo.things.insertOne({ _id: 'a', n: 10 });
    await mongo.client.withSession((session) =>
      session.withTransaction(async () => {
        await mongo.things.updateOne({ _id: 'a' }, { $inc: { n: -4 } }, { session });
        await mongo.things.insertOne({ _id: 'b', n: 4 }, { session });
        expect(await mongo.things.countDocuments({}, { session })).toBe(2);
        expect(await mongo.things.countDocuments()).toBe(1);
      }),
    );
    expect(await mongo.things.find().sort({ _id: 1 }).toArray()).toEqual([
      { _id: 'a', n: 6 },
      { _id: 'b', n: 4 },
    ]);
    const failing = mongo.client.withSession((session) =>
      session.withTransaction(async () => {
        await mongo.things.updateOne({ _id: 'a' }, { $inc: { n: -4 } }, { session });
        throw new Error('changed my mind');
      }),
    );
    await expect(failing).rejects.toThrow('changed my mind');
    expect(await mongo.things.findOne({ _id: 'a' })).toEqual({ _id: 'a', n: 6 });
  });

  it('refuse the second writer of a document and succeed when repeated', async () => {
    await mongo.things.insertOne({ _id: 1, n: 0 });
    const [first, second] = [mongo.client.startSession(), mongo.client.startSession()];
    first.startTransaction();
    second.startTransaction();
    await mongo.things.updateOne({ _id: 1 }, { $inc: { n: 1 } }, { session: first });
    const conflict = await mongo.things
      .updateOne({ _id: 1 }, { $inc: { n: 1 } }, { session: second })
      .catch((error: unknown) => error);
    expect(conflict).toBeInstanceOf(MongoServerError);
    expect(conflict).toMatchObject({ code: 112 });
    expect((conflict as MongoServerError).hasErrorLabel('TransientTransactionError')).toBe(true);
    await first.commitTransaction();
    await second.abortTransaction();
    await second.withTransaction(() => mongo.things.updateOne({ _id: 1 }, { $inc: { n: 1 } }, { session: second }));
    await Promise.all([first.endSession(), second.endSession()]);
    expect(await mongo.things.findOne()).toEqual({ _id: 1, n: 2 });
  });

  it('add up when many of them change the same document', async () => {
    await mongo.things.insertOne({ _id: 1, n: 0 });
    const bump = () =>
      mongo.client.withSession((session) =>
        session.withTransaction(async () => {
          const thing = await mongo.things.findOne({ _id: 1 }, { session });
          await mongo.things.updateOne({ _id: 1 }, { $set: { n: thing?.['n'] + 1 } }, { session });
        }),
      );
    await Promise.all(Array.from({ length: 10 }, bump));
    expect(await mongo.things.findOne()).toEqual({ _id: 1, n: 10 });
  });

  it('are over after a duplicate key', async () => {
    await mongo.things.insertOne({ _id: 1 });
    const session = mongo.client.startSession();
    session.startTransaction();
    await mongo.things.insertOne({ _id: 2 }, { session });
    await expect(mongo.things.insertOne({ _id: 1 }, { session })).rejects.toMatchObject({ code: 11_000 });
    await expect(mongo.things.insertOne({ _id: 3 }, { session })).rejects.toMatchObject({ code: 251 });
    await session.abortTransaction();
    await session.endSession();
    expect(await mongo.things.countDocuments()).toBe(1);
  });

  it('read through cursors of several pages', async () => {
    await mongo.things.insertMany(numbered(500));
    await mongo.client.withSession((session) =>
      session.withTransaction(async () => {
        await mongo.things.insertOne({ _id: 'new' }, { session });
        expect(await mongo.things.find({}, { session, batchSize: 60 }).toArray()).toHaveLength(501);
        expect(
          await mongo.things.aggregate([{ $group: { _id: '$_id' } }], { session, batchSize: 60 }).toArray(),
        ).toHaveLength(501);
      }),
    );
  });
});

describe('retries', () => {
  it('survives a connection that breaks between a write and its answer', async () => {
    await mongo.things.insertOne({ _id: 1, n: 0 });
    const line = await openLine(new URL(mongo.url.replace('mongodb:', 'http:')).port);
    const caller = new MongoClient(`mongodb://127.0.0.1:${line.port}/?directConnection=true`, {
      monitorCommands: true,
    });
    caller.once('commandStarted', () => line.cutNextReply());
    let failures = 0;
    caller.on('commandFailed', () => (failures += 1));
    const result = await caller
      .db(mongo.db.databaseName)
      .collection<Doc>('things')
      .updateOne({ _id: 1 }, { $inc: { n: 1 } });
    expect([result.modifiedCount, failures]).toEqual([1, 1]);
    expect(await mongo.things.findOne()).toEqual({ _id: 1, n: 1 });
    await caller.close();
    await line.close();
  });
});

it('expires documents on demand and leaves the others', async () => {
  await mongo.things.createIndex({ expiresAt: 1 }, { expireAfterSeconds: 0 });
  await mongo.things.insertMany([
    { _id: 1, expiresAt: new Date(0) },
    { _id: 2, expiresAt: new Date(Date.now() + 3_600_000) },
    { _id: 3 },
  ]);
  await expireDocuments(mongo.url);
  expect((await mongo.things.find().sort({ _id: 1 }).toArray()).map(({ _id }) => _id)).toEqual([2, 3]);
});
