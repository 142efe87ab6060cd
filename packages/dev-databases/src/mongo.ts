import { join } from 'node:path';

import { MongoClient } from 'mongodb';

import { cacheFolder } from './cache-folder.ts';
import { nodeProgram } from './child-program.ts';
import { mongoInDocker } from './containers.ts';
import { firstAvailable, firstLine, Unavailable } from './dev-database.ts';
import type { DevDatabase, StartOptions } from './dev-database.ts';
import { startDocumentDb } from './documentdb.ts';
import { isDocumentDbInstalled } from './documentdb-install.ts';
import { startMongod } from './mongod.ts';
import { onPath, run } from './processes.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const DOWNLOAD_LIMIT_MS = 240_000;
const ADVICE =
  'Choose one: set MONGODB_URI, start Docker, install MongoDB so that mongod is on PATH, allow its download, or use Debian, where the development double can be installed.';

/**
 * A MongoDB for development or tests, always with transactions: MONGODB_URI, else Docker, else `mongod` on PATH, else
 * mongodb-memory-server's mongod, else a development double made of DocumentDB on PostgreSQL.
 * @throws Error when MONGODB_URI is set but does not answer, or when no way is open (the message lists all).
 */
export async function startMongo(options: StartOptions): Promise<DevDatabase> {
  const url = options.env['MONGODB_URI'];
  if (url) return external(url);
  const links = [
    { name: 'Docker', start: mongoInDocker },
    { name: 'mongod on PATH', start: installed },
    { name: 'mongodb-memory-server', start: downloaded },
    { name: 'DocumentDB', start: startDocumentDb },
  ];
  return firstAvailable('MongoDB', links, options, ADVICE);
}

async function external(url: string): Promise<DevDatabase> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: CONNECT_TIMEOUT_MS });
  try {
    const { version } = await client.db('admin').command({ buildInfo: 1 });
    return { url, engine: `MongoDB ${version} (MONGODB_URI)`, pids: [], stop: async () => undefined };
  } catch (error) {
    throw new Error(`MONGODB_URI is set but no MongoDB answers there: ${firstLine(error)}`, { cause: error });
  } finally {
    await client.close();
  }
}

async function installed(options: StartOptions): Promise<DevDatabase> {
  const mongod = await onPath('mongod', options.env);
  if (mongod === undefined) throw new Unavailable('no program of that name');
  return startMongod(options, mongod, 'installed');
}

async function downloaded(options: StartOptions): Promise<DevDatabase> {
  return startMongod(options, await memoryServerBinary(options), 'mongodb-memory-server');
}

async function memoryServerBinary(options: StartOptions): Promise<string> {
  const folder = join(cacheFolder(options.env), 'mongod');
  // Without this the library would not check the certificate of the server it downloads a program from.
  const env = { ...options.env, npm_config_strict_ssl: 'true' };
  const ask = (task: string) =>
    run(nodeProgram('mongod-download-main', [folder, task]), { env, timeoutMs: DOWNLOAD_LIMIT_MS });
  // Where the double was installed there was no download, and a start should not ask for it every time.
  const isSettled = await isDocumentDbInstalled(options.env);
  const mayDownload = !isSettled && options.env['MONGOMS_RUNTIME_DOWNLOAD'] !== 'false';
  try {
    const cached = await ask('locate');
    if (cached !== '') return cached;
    if (mayDownload) {
      options.onProgress?.('mongodb-memory-server: trying to download mongod (once per machine)');
      return await ask('download');
    }
  } catch (error) {
    throw new Unavailable(`mongod cannot be downloaded (${firstLine(error)})`, { cause: error });
  }
  throw new Unavailable('mongod is not in its cache');
}
