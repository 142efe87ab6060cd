import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { BSON, type Db, MongoClient, type Sort } from 'mongodb';
import type { MongoDump, SavedCollection } from './manifest.ts';
import { DEFAULT_DATABASES, type MongoPart } from './settings.ts';
import { type Store, writeStored } from './stored-file.ts';

/** A database that does not answer for so long fails the command. */
const CONNECT_MS = 5000;
const READ_MS = 120_000;
const BATCH = 500;

/**
 * What is saved before the rest, so that what is missing between two moments does no harm: an anchor must not speak of lines
 * that came after the copy of the log, and a hold of the journal may be settled twice, but must not be forgotten.
 */
const FIRST: Readonly<Record<MongoPart, readonly string[]>> = {
  auth: ['audit_anchors'],
  'chat-proxy': ['open_holds', 'files', 'fs.files'],
};
/** A chain read in its own order has no gap, whatever is added meanwhile. */
const ORDERS: Readonly<Record<string, Sort>> = { audit_log: { chain: 1, seq: 1 } };
const BY_ID: Sort = { _id: 1 };

export async function withDatabase<T>(part: MongoPart, url: string, work: (db: Db) => Promise<T>): Promise<T> {
  const client = new MongoClient(url, {
    serverSelectionTimeoutMS: CONNECT_MS,
    connectTimeoutMS: CONNECT_MS,
    socketTimeoutMS: READ_MS,
    maxPoolSize: 2,
    retryWrites: true,
  });
  try {
    const name = /^mongodb(?:\+srv)?:\/\/[^/]+\/[^/?]+/.test(url) ? undefined : DEFAULT_DATABASES[part];
    return await work(client.db(name));
  } finally {
    await client.close();
  }
}

/** The collections of the database that are data, the ones to be saved first before the others. */
async function collectionsOf(db: Db, part: MongoPart): Promise<{ name: string; options: object }[]> {
  const first = FIRST[part];
  const place = (name: string): number => (first.includes(name) ? first.indexOf(name) : first.length);
  const found = await db.listCollections({ type: 'collection' }).toArray();
  return found
    .filter(({ name }) => !name.startsWith('system.'))
    .map(({ name, ...rest }) => ({ name, options: 'options' in rest ? (rest.options ?? {}) : {} }))
    .sort((one, other) => place(one.name) - place(other.name) || (one.name < other.name ? -1 : 1));
}

/** Saves a database, collection by collection, in the files that mongodump writes; it may be in use. */
export function dumpMongo(store: Store, part: MongoPart, url: string): Promise<MongoDump> {
  return withDatabase(part, url, async (db) => {
    const takenAt = new Date().toISOString();
    const collections: SavedCollection[] = [];
    for (const collection of await collectionsOf(db, part))
      collections.push(await dumpCollection({ store, part, db }, collection));
    return { takenAt, collections };
  });
}

type Place = { store: Store; part: MongoPart; db: Db };

async function dumpCollection(
  { store, part, db }: Place,
  { name, options }: { name: string; options: object },
): Promise<SavedCollection> {
  const collection = db.collection(name);
  const indexes = await collection.listIndexes().toArray();
  let documents = 0;
  async function* bytes(): AsyncGenerator<Uint8Array> {
    const found = collection.find({}, { raw: true, batchSize: BATCH, sort: ORDERS[name] ?? BY_ID });
    // Memory holds one batch: the next is asked for when the file has taken this one.
    for await (const document of found) {
      documents += 1;
      yield document as unknown as Uint8Array; // `raw` gives the bytes themselves
    }
  }
  const metadata = BSON.EJSON.stringify(
    { options, indexes, collectionName: name, type: 'collection' },
    { relaxed: false },
  );
  const suffix = store.key === undefined ? '' : '.sealed';
  return {
    name,
    metadata: await writeStored(store, `${part}/${name}.metadata.json.gz${suffix}`, [
      Readable.from([metadata]),
      createGzip(),
    ]),
    file: await writeStored(store, `${part}/${name}.bson.gz${suffix}`, [
      Readable.from(bytes()),
      createGzip({ level: 1 }),
    ]),
    documents,
  };
}
