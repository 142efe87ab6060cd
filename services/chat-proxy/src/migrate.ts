import { readEnvironment } from './config.ts';
import type { Config } from './config.ts';
import { DATABASE } from './store-deps.ts';
import { runMigrations } from './store/migrate.ts';
import { openMongo } from './store/mongo.ts';

const CONNECT_MS = 30_000;

/** Brings the database of this service to the newest schema; gives the names of the steps it took. */
export async function migrate(
  config: Pick<Config, 'MONGODB_URI' | 'MONGO_OPERATION_TIMEOUT'> = readEnvironment(),
): Promise<string[]> {
  const mongo = openMongo({
    url: config.MONGODB_URI.reveal(),
    defaultDatabase: DATABASE,
    operationTimeoutMs: config.MONGO_OPERATION_TIMEOUT,
    poolSize: 2,
  });
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error('the database cannot be reached')), CONNECT_MS);
  try {
    await Promise.race([mongo.connected, late.promise]);
    return await runMigrations(mongo.db());
  } finally {
    clearTimeout(timer);
    await mongo.close();
  }
}
