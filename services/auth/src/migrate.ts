import type { Config } from './config.ts';
import { runMigrations } from './store/migrate.ts';
import { openMongo } from './store/mongo.ts';

/**
 * Brings the database of this service to the newest schema and gives the names of the steps taken; safe to run twice and
 * at once.
 * @throws the connection's error when the database cannot be reached.
 */
export async function migrate(config: Pick<Config, 'mongoUrl'>): Promise<string[]> {
  const { promise: unreachable, reject } = Promise.withResolvers<never>();
  const mongo = openMongo({ url: config.mongoUrl.reveal(), defaultDatabase: 'tollgate_auth', onFault: reject });
  try {
    await Promise.race([mongo.connected, unreachable]);
    return await runMigrations(mongo.db());
  } finally {
    await mongo.close();
  }
}
