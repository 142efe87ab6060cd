import type { Config } from './config.ts';
import { runMigrations } from './store/migrate.ts';

/**
 * Brings the database of this service to the newest schema and gives the names of the steps taken; safe to run twice and
 * at once.
 * @throws the connection's error when the database cannot be reached; Error when it belongs to another version.
 */
export async function migrate(config: Pick<Config, 'database'>): Promise<string[]> {
  const { ownerUrl, serviceRole } = config.database;
  return runMigrations(ownerUrl.reveal(), undefined, serviceRole);
}
