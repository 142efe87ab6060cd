import { migrateDatabase } from '@tollgate/mongo-kit';
import type { Config } from './config.ts';
import { DATABASE, MIGRATIONS } from './store/migrations.ts';

/**
 * Brings the database of this service to the newest schema and gives the names of the steps taken; safe to run twice and
 * at once.
 * @throws the connection's error when the database cannot be reached; Error when it belongs to another version.
 */
export const migrate = ({ mongoUrl }: Pick<Config, 'mongoUrl'>): Promise<string[]> =>
  migrateDatabase({ url: mongoUrl.reveal(), defaultDatabase: DATABASE }, MIGRATIONS);
