import { createGunzip } from 'node:zlib';
import { pipeline } from 'node:stream/promises';
import { BSON, type Db, type Document } from 'mongodb';
import { z } from 'zod';
import { withDatabase } from './mongo-dump.ts';
import type { MongoDump, SavedCollection } from './manifest.ts';
import type { MongoPart } from './settings.ts';
import { readStored, type Store } from './stored-file.ts';

/** MongoDB's own limit is 16 MiB and a little. */
const LARGEST_DOCUMENT_BYTES = 17_000_000;
const LENGTH_BYTES = 4;
const BATCH_BYTES = 4_000_000;
const BATCH_DOCUMENTS = 1000;
const LARGEST_METADATA_BYTES = 1_000_000;

const Metadata = z.object({
  options: z.record(z.string(), z.unknown()).default({}),
  indexes: z.array(z.looseObject({ name: z.string(), key: z.looseObject({}) })).default([]),
});

/** Refuses a database with anything in it, unless it may be emptied. */
export function readyForRestore(part: MongoPart, url: string, mayEmpty: boolean): Promise<void> {
  return withDatabase(part, url, async (db) => {
    const found = await db.listCollections({}, { nameOnly: true }).toArray();
    if (found.length === 0) return;
    if (!mayEmpty) throw new Error(`${db.databaseName}, the database of ${part}, is not empty; --force empties it`);
    await db.dropDatabase();
  });
}

/** Puts a database back as it was saved, its indexes last. */
export function restoreMongo(store: Store, part: MongoPart, dump: MongoDump, url: string): Promise<void> {
  return withDatabase(part, url, async (db) => {
    for (const collection of dump.collections) await restoreCollection(store, db, collection);
  });
}

async function restoreCollection(
  store: Store,
  db: Db,
  { name, documents, file, metadata }: SavedCollection,
): Promise<void> {
  const { options, indexes } = await readMetadata(store, metadata.path);
  await db.createCollection(name, options);
  const target = db.collection(name);
  let written = 0;
  const put = async (batch: readonly Document[]): Promise<void> => {
    if (batch.length > 0) await target.insertMany([...batch], { ordered: false });
    written += batch.length;
  };
  await readStored(store, file.path, (pieces) =>
    pipeline(pieces, createGunzip(), async (plain: AsyncIterable<Buffer>) => {
      for await (const batch of batchesOf(documentsIn(plain))) await put(batch);
    }),
  );
  if (written !== documents) throw new Error(`${name} has ${written} documents, and ${documents} were saved`);
  const own = indexes.filter((index) => index.name !== '_id_').map(({ ns: _, ...index }) => index);
  if (own.length > 0) await db.command({ createIndexes: name, indexes: own });
}

async function readMetadata(store: Store, path: string): Promise<z.output<typeof Metadata>> {
  const texts: Buffer[] = [];
  let bytes = 0;
  await readStored(store, path, (pieces) =>
    pipeline(pieces, createGunzip(), async (plain: AsyncIterable<Buffer>) => {
      for await (const piece of plain) {
        bytes += piece.byteLength;
        if (bytes > LARGEST_METADATA_BYTES) throw new Error(`${path} is too large for what it should be`);
        texts.push(piece);
      }
    }),
  );
  // Relaxed: numbers of indexes and options are plain ones for the driver.
  return Metadata.parse(BSON.EJSON.parse(Buffer.concat(texts).toString('utf8'), { relaxed: true }));
}

/** Documents one after the other, each beginning with its own length. */
async function* documentsIn(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  for await (const piece of pieces) {
    held = held.byteLength === 0 ? piece : Buffer.concat([held, piece]);
    let from = 0;
    while (held.byteLength - from >= LENGTH_BYTES) {
      const length = held.readInt32LE(from);
      if (length < LENGTH_BYTES + 1 || length > LARGEST_DOCUMENT_BYTES)
        throw new Error('a file of the backup holds no documents');
      if (held.byteLength - from < length) break;
      yield held.subarray(from, from + length);
      from += length;
    }
    held = held.subarray(from);
  }
  if (held.byteLength > 0) throw new Error('a file of the backup ends within a document');
}

async function* batchesOf(documents: AsyncIterable<Buffer>): AsyncGenerator<Document[]> {
  let batch: Document[] = [];
  let bytes = 0;
  for await (const document of documents) {
    // Nothing is made into a JavaScript value: a whole number stays the kind of number it was.
    batch.push(BSON.deserialize(document, { promoteValues: false, bsonRegExp: true }));
    bytes += document.byteLength;
    if (batch.length < BATCH_DOCUMENTS && bytes < BATCH_BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  yield batch;
}
