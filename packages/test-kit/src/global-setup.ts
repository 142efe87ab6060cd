import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DevDatabase, startMongo, startPostgres } from '@tollgate/dev-databases';

/** What global-teardown.ts ends; jest runs both files in one process. */
export interface RunningDatabases {
  readonly folder: string;
  readonly databases: readonly DevDatabase[];
}

declare global {
  var tollgateTestDatabases: RunningDatabases | undefined;
}

/** Starts PostgreSQL and a MongoDB wire server once for the run, unless TEST_POSTGRES_URL and TEST_MONGO_URL name running ones. */
export default async function startDatabases(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-test-'));
  // Workers and the services that tests start compile each module once for the whole run.
  process.env.NODE_COMPILE_CACHE ??= join(folder, 'compiled');
  const onProgress = (text: string): void => void process.stderr.write(`• ${text}\n`);
  const start = async (
    kind: typeof startPostgres,
    name: string,
    given: string | undefined,
  ): Promise<DevDatabase | undefined> =>
    given === undefined
      ? kind({ dataDir: join(folder, name), durable: false, env: process.env, onProgress })
      : undefined;
  const [postgres, mongo] = await Promise.all([
    start(startPostgres, 'postgres', process.env.TEST_POSTGRES_URL),
    start(startMongo, 'mongo', process.env.TEST_MONGO_URL),
  ]);
  if (postgres) process.env.TEST_POSTGRES_URL = postgres.url;
  if (mongo) process.env.TEST_MONGO_URL = mongo.url;
  for (const database of [postgres, mongo]) if (database) onProgress(database.engine);
  globalThis.tollgateTestDatabases = {
    folder,
    databases: [postgres, mongo].filter((database) => database !== undefined),
  };
}
