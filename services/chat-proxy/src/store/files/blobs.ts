import { AppError, unavailable } from '@tollgate/http-kit';
import { isDuplicate, type Mongo, troubleOf } from '@tollgate/mongo-kit';
import { mongo } from 'mongoose';
import type { FileId } from '../../domain/wire-types.ts';
import type { Blobs } from '../../ports.ts';

interface Row {
  /** Hash of the owner and the bytes. */
  readonly _id: string;
  readonly storage: string;
  /** Ids instead of a number: what is done twice counts once. */
  readonly holders: FileId[];
}

const BUCKET = 'file_bytes';
const MOST_ATTEMPTS = 5;
const RETRY_AFTER_SECONDS = 2;

/** Bytes in GridFS, and for those of one user that are alike the files that hold them. */
export function blobsIn(database: Mongo): Blobs {
  const rows = () => database.collection<Row>('file_blobs');
  const bucket = () => new mongo.GridFSBucket(database.db(), { bucketName: BUCKET });

  async function claim(key: string, storage: string, id: FileId): ReturnType<Blobs['claim']> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const row = await rows().findOneAndUpdate(
          { _id: key },
          { $addToSet: { holders: id }, $setOnInsert: { storage } },
          { upsert: true, returnDocument: 'after' },
        );
        return { key, storage: row?.storage ?? storage };
      } catch (error) {
        // Two upserts of the same new document: the loser finds it at the next attempt.
        if (!isDuplicate(error) || attempt === MOST_ATTEMPTS) throw error;
      }
    }
  }

  return {
    newStorage: () => new mongo.ObjectId().toHexString(),
    write: (storage, chunks) => write(database, bucket(), { storage, chunks }),
    claim: (key, storage, id) => database.run(() => claim(key, storage, id)),

    letGo: (key, id) =>
      database.run(async () => {
        const row = await rows().findOneAndUpdate(
          { _id: key },
          { $pull: { holders: id } },
          { returnDocument: 'after' },
        );
        return row?.holders.length === 0 ? { key, storage: row.storage } : undefined;
      }),

    strike: ({ key, storage }) =>
      database.run(async () => (await rows().deleteOne({ _id: key, storage, holders: { $size: 0 } })).deletedCount > 0),

    isUsed: ({ key, storage }) =>
      database.run(async () => (await rows().findOne({ _id: key, storage }, { projection: { _id: 1 } })) !== null),

    erase: (storage) =>
      database.run(async () => {
        const id = new mongo.ObjectId(storage);
        // Not by the bucket, which fails when a part of it is gone already.
        await database.collection(`${BUCKET}.chunks`).deleteMany({ files_id: id });
        await database.collection(`${BUCKET}.files`).deleteOne({ _id: id });
      }),

    read: (storage, range) => read(database, bucket(), { storage, range }),
  };
}

/** Chunk by chunk: no more of a file is in memory than one of them, and each has the time of one operation. */
async function write(
  database: Mongo,
  bucket: mongo.GridFSBucket,
  { storage, chunks }: { storage: string; chunks: AsyncIterable<Uint8Array> },
): Promise<void> {
  // Nothing of a file is named by its user.
  const upload = bucket.openUploadStreamWithId(new mongo.ObjectId(storage), storage);
  const done = (work: (settled: (error?: Error | null) => void) => void) =>
    database.run(() => new Promise<void>((resolve, reject) => work((error) => (error ? reject(error) : resolve()))));
  upload.on('error', () => undefined); // told to whoever writes
  try {
    for await (const chunk of chunks) await done((settled) => upload.write(chunk, settled));
    await done((settled) => upload.end(settled));
  } catch (error) {
    upload.destroy();
    throw error;
  }
}

async function* read(
  database: Mongo,
  bucket: mongo.GridFSBucket,
  { storage, range }: { storage: string; range: { start: number; end: number } | undefined },
): AsyncGenerator<Uint8Array, void, undefined> {
  const download = bucket.openDownloadStream(new mongo.ObjectId(storage), range);
  const chunks = download[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await database.run<IteratorResult<Uint8Array, undefined>>(() => chunks.next());
      if (next.done) return;
      yield next.value;
    }
  } catch (error) {
    // Deleted since it was found.
    if (error instanceof mongo.MongoRuntimeError) throw new AppError('NOT_FOUND', undefined, { cause: error });
    throw troubleOf(error) === undefined ? error : unavailable('DEPENDENCY_UNAVAILABLE', RETRY_AFTER_SECONDS, error);
  } finally {
    download.destroy();
  }
}
