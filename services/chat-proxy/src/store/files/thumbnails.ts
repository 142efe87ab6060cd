import type { Mongo } from '@tollgate/mongo-kit';
import { mongo } from 'mongoose';
import type { ThumbnailStore } from '../../ports.ts';

interface Row {
  readonly _id: string;
  readonly storage: string;
  readonly bytes: mongo.Binary;
  readonly created_at: Date;
}

/** Each in one document: they are small. */
export function thumbnailsIn(database: Mongo): ThumbnailStore {
  const rows = () => database.collection<Row>('file_thumbnails');
  const idOf = (storage: string, size: number): string => `${storage}-${size}`;

  return {
    find: (storage, size) =>
      database.run(async () => (await rows().findOne({ _id: idOf(storage, size) }))?.bytes.buffer),

    save: (storage, size, bytes, at) =>
      database.run(async () => {
        const row = { storage, bytes: new mongo.Binary(bytes), created_at: at };
        await rows().updateOne({ _id: idOf(storage, size) }, { $set: row }, { upsert: true });
      }),

    erase: (storage) =>
      database.run(async () => {
        await rows().deleteMany({ storage });
      }),
  };
}
