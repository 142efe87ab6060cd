import { buffer } from 'node:stream/consumers';

import { describe, expect, it } from '@jest/globals';
import { GridFSBucket, Long } from 'mongodb';

import { numbered, useMongo } from './conformance.ts';
import type { Doc } from './conformance.ts';

const mongo = useMongo();

describe('reading and writing', () => {
  it('counts what an update matched, modified and inserted', async () => {
    await mongo.things.insertMany([
      { _id: 1, n: 1 },
      { _id: 2, n: 1 },
      { _id: 3, n: 2 },
    ]);
    const many = await mongo.things.updateMany({ n: { $gte: 1 } }, { $set: { n: 2 } });
    expect([many.matchedCount, many.modifiedCount]).toEqual([3, 2]);
    const upserted = await mongo.things.updateOne({ _id: 9 }, { $setOnInsert: { n: 0 } }, { upsert: true });
    expect([upserted.matchedCount, upserted.upsertedCount, upserted.upsertedId]).toEqual([0, 1, 9]);
    const again = await mongo.things.updateOne({ _id: 9 }, { $setOnInsert: { n: 0 } }, { upsert: true });
    expect([again.matchedCount, again.upsertedCount]).toEqual([1, 0]);
    expect((await mongo.things.deleteMany({ n: 2 })).deletedCount).toBe(3);
    expect(await mongo.things.find().toArray()).toEqual([{ _id: 9, n: 0 }]);
  });

  it('keeps every BSON type as it was written', async () => {
    const written = {
      _id: 1,
      date: new Date(5),
      long: Long.fromString('9007199254740993'),
      bytes: Buffer.from([0, 255]),
      none: null,
      list: [1, 'a', { b: true }],
    };
    await mongo.things.insertOne(written);
    const read = await mongo.things.findOne({ _id: 1 }, { promoteLongs: false, promoteBuffers: true });
    expect(read).toEqual(written);
  });

  it('sorts, skips, limits, projects and counts', async () => {
    await mongo.things.insertMany(numbered(20, (n) => ({ even: n % 2 === 0, name: `n${n}` })));
    const found = await mongo.things
      .find({ even: true })
      .sort({ _id: -1 })
      .skip(2)
      .limit(3)
      .project({ _id: 1 })
      .toArray();
    expect(found).toEqual([{ _id: 14 }, { _id: 12 }, { _id: 10 }]);
    expect(await mongo.things.countDocuments({ even: true })).toBe(10);
    expect(await mongo.things.estimatedDocumentCount()).toBe(20);
    expect((await mongo.things.distinct('even')).length).toBe(2);
  });

  it('changes the array elements that a filter names', async () => {
    await mongo.things.insertOne({
      _id: 1,
      items: [
        { sku: 'a', n: 1 },
        { sku: 'b', n: 1 },
      ],
    });
    await mongo.things.updateOne(
      { _id: 1 },
      { $inc: { 'items.$[item].n': 5 } },
      { arrayFilters: [{ 'item.sku': 'b' }] },
    );
    expect((await mongo.things.findOne({ _id: 1 }))?.['items']).toEqual([
      { sku: 'a', n: 1 },
      { sku: 'b', n: 6 },
    ]);
  });

  it('updates with a pipeline that reads the old document', async () => {
    await mongo.things.insertOne({ _id: 1, a: 2, b: 3 });
    const after = await mongo.things.findOneAndUpdate({ _id: 1 }, [{ $set: { sum: { $add: ['$a', '$b'] } } }], {
      returnDocument: 'after',
    });
    expect(after).toEqual({ _id: 1, a: 2, b: 3, sum: 5 });
  });

  it('applies an unordered bulk write around the statements that fail', async () => {
    await mongo.things.insertOne({ _id: 1 });
    const operations = [1, 2, 3].map((n) => ({ insertOne: { document: { _id: n } } }));
    await expect(mongo.things.bulkWrite(operations, { ordered: false })).rejects.toMatchObject({
      code: 11_000,
      result: { insertedCount: 2 },
    });
    await expect(
      mongo.things.bulkWrite([{ insertOne: { document: { _id: 4 } } }, ...operations]),
    ).rejects.toMatchObject({
      result: { insertedCount: 1 },
    });
    expect(await mongo.things.countDocuments()).toBe(4);
  });

  it('explains an unknown operator, an unknown command and a document that is too large', async () => {
    await expect(mongo.things.find({ $nonsense: 1 }).toArray()).rejects.toMatchObject({ code: 2 });
    await expect(mongo.db.command({ nonsense: 1 })).rejects.toMatchObject({ code: 59 });
    const insert = mongo.db.command({ insert: 'things', documents: [{ text: 'x'.repeat(17 * 1024 * 1024) }] });
    await expect(insert).rejects.toThrow();
    expect(await mongo.things.countDocuments()).toBe(0);
  });

  it('gives up when a command takes longer than maxTimeMS', async () => {
    await mongo.things.insertMany(numbered(300));
    const stages = Array.from({ length: 4 }, (_, n) => ({
      $lookup: { from: 'things', pipeline: [{ $match: { x: n } }, { $group: { _id: null } }], as: `all${n}` },
    }));
    const slow = mongo.things.aggregate(
      [
        {
          $lookup: {
            from: 'things',
            pipeline: [{ $lookup: { from: 'things', pipeline: [], as: 'b' } }, { $unwind: '$b' }],
            as: 'a',
          },
        },
        { $unwind: '$a' },
        ...stages,
        { $count: 'n' },
      ],
      { maxTimeMS: 50 },
    );
    await expect(slow.toArray()).rejects.toMatchObject({ code: 50 });
  });
});

describe('unique indexes', () => {
  it('refuse a taken value and say which field it was', async () => {
    await mongo.things.createIndex({ email: 1 }, { unique: true });
    await mongo.things.insertOne({ _id: 1, email: 'alice@example.test' });
    const taken = { code: 11_000, keyPattern: { email: 1 }, keyValue: { email: 'alice@example.test' } };
    await expect(mongo.things.insertOne({ _id: 2, email: 'alice@example.test' })).rejects.toMatchObject(taken);
    await expect(mongo.things.insertOne({ _id: 1, email: 'bob@example.test' })).rejects.toMatchObject({
      code: 11_000,
      keyPattern: { _id: 1 },
    });
    await mongo.things.insertOne({ _id: 2, email: 'bob@example.test' });
    const rename = { $set: { email: 'alice@example.test' } };
    await expect(mongo.things.updateOne({ _id: 2 }, rename)).rejects.toMatchObject({
      code: 11_000,
      keyPattern: { email: 1 },
    });
    await expect(mongo.things.findOneAndUpdate({ _id: 2 }, rename)).rejects.toMatchObject({
      code: 11_000,
      keyPattern: { email: 1 },
    });
  });

  it('leave documents outside a partial index alone', async () => {
    await mongo.things.createIndex(
      { phone: 1 },
      { unique: true, partialFilterExpression: { phone: { $exists: true } } },
    );
    await mongo.things.insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3, phone: '1' }]);
    await expect(mongo.things.insertOne({ _id: 4, phone: '1' })).rejects.toMatchObject({ code: 11_000 });
  });

  it('cannot be made over values that are there twice', async () => {
    await mongo.things.insertMany([{ a: 1 }, { a: 1 }]);
    await expect(mongo.things.createIndex({ a: 1 }, { unique: true })).rejects.toMatchObject({ code: 11_000 });
  });

  it('let one of many simultaneous inserts of a value through', async () => {
    await mongo.things.createIndex({ slug: 1 }, { unique: true });
    const results = await Promise.allSettled(
      numbered(60).map((thing) => mongo.things.insertOne({ ...thing, slug: 'a' })),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.code] : []));
    expect(new Set(reasons)).toEqual(new Set([11_000]));
  });

  it('let simultaneous upserts of a value make one document and count them all', async () => {
    await mongo.things.createIndex({ key: 1 }, { unique: true });
    const bump = () => mongo.things.updateOne({ key: 'k' }, { $inc: { n: 1 } }, { upsert: true });
    const results = await Promise.all(Array.from({ length: 60 }, bump));
    expect(results.reduce((sum, { upsertedCount }) => sum + upsertedCount, 0)).toBe(1);
    expect(await mongo.things.find({}, { projection: { _id: 0 } }).toArray()).toEqual([{ key: 'k', n: 60 }]);
  });

  it('are listed, dropped, and refused when they contradict another one', async () => {
    await mongo.things.createIndex({ a: 1 }, { unique: true, name: 'by-a' });
    await mongo.things.createIndex({ a: 1 }, { unique: true, name: 'by-a' });
    await expect(mongo.things.createIndex({ a: 1 }, { unique: true, name: 'other' })).rejects.toMatchObject({
      code: 85,
    });
    await expect(mongo.things.createIndex({ b: 1 }, { name: 'by-a' })).rejects.toMatchObject({ code: 86 });
    expect(new Set((await mongo.things.indexes()).map(({ name }) => name))).toEqual(new Set(['_id_', 'by-a']));
    await mongo.things.dropIndex('by-a');
    await expect(mongo.things.dropIndex('by-a')).rejects.toMatchObject({ code: 27 });
    await mongo.things.insertMany([{ a: 1 }, { a: 1 }]);
    expect(await mongo.things.countDocuments({ a: 1 })).toBe(2);
  });
});

describe('aggregation', () => {
  it('groups, joins and splits into facets', async () => {
    await mongo.things.insertMany([
      { _id: 1, kind: 'a', n: 1 },
      { _id: 2, kind: 'a', n: 2 },
      { _id: 3, kind: 'b', n: 3 },
    ]);
    await mongo.db.collection<Doc>('kinds').insertMany([
      { _id: 'a', title: 'A' },
      { _id: 'b', title: 'B' },
    ]);
    const joined = await mongo.things
      .aggregate([
        { $group: { _id: '$kind', total: { $sum: '$n' } } },
        { $lookup: { from: 'kinds', localField: '_id', foreignField: '_id', as: 'kind' } },
        { $project: { total: 1, title: { $first: '$kind.title' } } },
        { $sort: { _id: 1 } },
      ])
      .toArray();
    expect(joined).toEqual([
      { _id: 'a', total: 3, title: 'A' },
      { _id: 'b', total: 3, title: 'B' },
    ]);
    const facets = await mongo.things
      .aggregate([{ $facet: { page: [{ $sort: { _id: 1 } }, { $limit: 1 }], total: [{ $count: 'n' }] } }])
      .toArray();
    expect(facets).toEqual([{ page: [{ _id: 1, kind: 'a', n: 1 }], total: [{ n: 3 }] }]);
  });

  it('writes its result into another collection', async () => {
    await mongo.things.insertMany(numbered(3, (n) => ({ n })));
    await mongo.things
      .aggregate([{ $set: { n: { $multiply: ['$n', 10] } } }, { $merge: { into: 'others' } }])
      .toArray();
    expect((await mongo.db.collection('others').find().sort({ _id: 1 }).toArray()).map(({ n }) => n)).toEqual([
      0, 10, 20,
    ]);
  });
});

describe('collections and databases', () => {
  it('are made, listed, renamed and dropped', async () => {
    await mongo.db.createCollection('made');
    await mongo.things.insertOne({ _id: 1 });
    expect((await mongo.db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name).sort()).toEqual([
      'made',
      'things',
    ]);
    await mongo.things.rename('renamed');
    expect(await mongo.db.collection('renamed').countDocuments()).toBe(1);
    await mongo.db.collection('renamed').drop();
    await mongo.db.collection('never-there').drop();
    expect((await mongo.client.db().admin().listDatabases()).databases.map(({ name }) => name)).toContain(
      mongo.db.databaseName,
    );
    await mongo.db.dropDatabase();
    expect(await mongo.db.listCollections().toArray()).toEqual([]);
  });

  it('has a ping, a version and a primary', async () => {
    expect(await mongo.db.command({ ping: 1 })).toMatchObject({ ok: 1 });
    expect(await mongo.db.admin().serverInfo()).toHaveProperty('version');
    expect(await mongo.db.command({ hello: 1 })).toMatchObject({
      isWritablePrimary: true,
      logicalSessionTimeoutMinutes: 30,
    });
  });
});

it('stores files in GridFS and gives them back byte for byte', async () => {
  const bucket = new GridFSBucket(mongo.db);
  const bytes = Buffer.from(Array.from({ length: 1_000_000 }, (_, n) => (n * 7919) % 256));
  const upload = bucket.openUploadStream('a.bin', { metadata: { owner: 'alice' } });
  upload.end(bytes);
  await new Promise((resolve, reject) => upload.once('finish', resolve).once('error', reject));
  expect(bytes.equals(await buffer(bucket.openDownloadStream(upload.id)))).toBe(true);
  await bucket.delete(upload.id);
  expect(await mongo.db.collection('fs.chunks').countDocuments()).toBe(0);
});
