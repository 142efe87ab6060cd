import { type Db, MongoClient } from 'mongodb';
import type { BackupSettings } from '../../scripts/backups/settings.ts';

export const rowsOf = (url: string, collection: string) =>
  onDatabase(url, (db) => db.collection(collection).find().toArray());

/** By collection, for comparing a database with its copy. */
export const indexesOf = (urls: BackupSettings['mongo']) =>
  Promise.all(
    Object.values(urls).map((url) =>
      onDatabase(url, async (db) => {
        const names = (await db.listCollections().toArray()).map(({ name }) => name).sort();
        return Promise.all(names.map(async (name) => [name, await db.collection(name).listIndexes().toArray()]));
      }),
    ),
  );

async function onDatabase<T>(url: string, look: (db: Db) => Promise<T>): Promise<T> {
  const client = await MongoClient.connect(url);
  try {
    return await look(client.db());
  } finally {
    await client.close();
  }
}
