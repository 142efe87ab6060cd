import { setTimeout as pause } from 'node:timers/promises';
import { AppError, unavailable } from '@tollgate/http-kit';
import { mongo, Mongoose } from 'mongoose';

export interface MongoOptions {
  readonly url: string;
  /** Used when the URL names no database. */
  readonly defaultDatabase: string;
  /** Milliseconds one operation may take before the request that needs it is given up. */
  readonly operationTimeoutMs: number;
  readonly poolSize: number;
  /** Told once per failed attempt to connect. */
  readonly onFault?: (error: unknown) => void;
}

/**
 * A connection that is opened in the background and again after every loss. Collections are used as plain typed documents:
 * what is written was parsed by the contracts before, and no filter is ever built from a request's objects.
 */
export interface Mongo {
  collection<Row extends mongo.Document>(name: string): mongo.Collection<Row>;
  db(): mongo.Db;
  /** Runs one operation within its time; faults of the database become 503. */
  run<T>(operation: () => Promise<T>): Promise<T>;
  /** Resolves at the first connection. */
  readonly connected: Promise<void>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

const RECONNECT_MS = 1000;
const RETRY_AFTER_SECONDS = 2;
const TIMEOUTS = { serverSelectionTimeoutMS: 2000, connectTimeoutMS: 2000, socketTimeoutMS: 15_000 } as const;

export function openMongo(options: MongoOptions): Mongo {
  const { url, operationTimeoutMs } = options;
  const mongoose = new Mongoose();
  mongoose.set({ bufferCommands: false, autoIndex: false, autoCreate: false });
  const connection = mongoose.createConnection();
  const stop = new AbortController();

  async function connect(): Promise<void> {
    const settings = {
      ...TIMEOUTS,
      maxPoolSize: options.poolSize,
      retryWrites: true,
      ...(!namesDatabase(url) && { dbName: options.defaultDatabase }),
    };
    while (!stop.signal.aborted) {
      try {
        await connection.openUri(url, settings);
        return;
      } catch (error) {
        options.onFault?.(error);
        await pause(RECONNECT_MS, undefined, { signal: stop.signal }).catch(() => undefined);
      }
    }
  }

  const connected = connect();
  function db(): mongo.Db {
    if (connection.readyState !== 1 || !connection.db) throw new mongo.MongoNotConnectedError('not connected');
    return connection.db;
  }

  async function run<T>(operation: () => Promise<T>): Promise<T> {
    try {
      return await within(operationTimeoutMs, operation);
    } catch (error) {
      throw asAppError(error);
    }
  }

  return {
    db,
    collection: (name) => db().collection(name),
    run,
    connected,
    ping: () => run(async () => void (await db().command({ ping: 1 }))),
    async close() {
      stop.abort();
      await connection.close();
    },
  };
}

/** `mongodb://host:port/name?options`; several hosts and `mongodb+srv` included. */
const namesDatabase = (url: string): boolean => /^mongodb(?:\+srv)?:\/\/[^/]+\/[^/?]+/.test(url);

const DUPLICATE_KEY = 11_000;
const OUT_OF_DISK_SPACE = 14_031;

export const isDuplicate = (error: unknown): boolean =>
  error instanceof mongo.MongoServerError && error.code === DUPLICATE_KEY;

/** By name: the driver does not export all of their classes. */
const AWAY = new Set([
  'MongoNetworkError',
  'MongoNetworkTimeoutError',
  'MongoServerSelectionError',
  'MongoNotConnectedError',
  'MongoTopologyClosedError',
  'MongoPoolClosedError',
  'MongoPoolClearedError',
  'MongoWaitQueueTimeoutError',
  'MongoClientClosedError',
]);

class TookTooLong extends Error {}

async function within<T>(timeoutMs: number, operation: () => Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new TookTooLong(`no answer in ${timeoutMs} ms`)), timeoutMs);
  try {
    return await Promise.race([operation(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function asAppError(error: unknown): unknown {
  if (error instanceof TookTooLong) return unavailable('DEPENDENCY_UNAVAILABLE', RETRY_AFTER_SECONDS, error);
  if (!(error instanceof mongo.MongoError)) return error;
  if (error.code === OUT_OF_DISK_SPACE) return new AppError('STORAGE_FULL', undefined, { cause: error });
  const isAway = AWAY.has(error.name) || error.hasErrorLabel('RetryableWriteError');
  return isAway ? unavailable('DEPENDENCY_UNAVAILABLE', RETRY_AFTER_SECONDS, error) : error;
}
