import { setTimeout as pause } from 'node:timers/promises';
import { type Connection, Mongoose, mongo, Types } from 'mongoose';

export type MongoOptions = Readonly<{
  url: string;
  /** Used when the URL names no database. */
  defaultDatabase: string;
  /** Told once per failed try to connect. */
  onFault?: (error: unknown) => void;
}>;

export type Mongo = {
  connection: Connection;
  /** The driver's database; throws while there is no connection. */
  db(): mongo.Db;
  /** Resolves at the first connection. */
  connected: Promise<void>;
  ping(): Promise<void>;
  close(): Promise<void>;
};

const RETRY_MS = 1000;
const TIMEOUTS = { serverSelectionTimeoutMS: 2500, connectTimeoutMS: 2500, socketTimeoutMS: 15_000 } as const;

/**
 * Connects in the background and keeps trying, so that the service starts also while its database is down. Operations
 * fail at once instead of waiting in memory. Query filters take plain values only; an operator needs `trusted()`.
 */
export function openMongo({ url, defaultDatabase, onFault }: MongoOptions): Mongo {
  const mongoose = new Mongoose();
  mongoose.set({ bufferCommands: false, autoIndex: false, autoCreate: false });
  mongoose.set({ sanitizeFilter: true, strict: 'throw', strictQuery: 'throw', runValidators: true });
  const connection = mongoose.createConnection();
  const stop = new AbortController();
  const options = {
    ...TIMEOUTS,
    maxPoolSize: 20,
    retryWrites: true,
    ...(!namesDatabase(url) && { dbName: defaultDatabase }),
  };

  async function connect(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await connection.openUri(url, options);
        return;
      } catch (error) {
        onFault?.(error);
        await pause(RETRY_MS, undefined, { signal: stop.signal }).catch(() => undefined);
      }
    }
  }

  const connected = connect();
  function db(): mongo.Db {
    if (connection.readyState !== 1 || !connection.db) throw new mongo.MongoNotConnectedError('not connected');
    return connection.db;
  }
  return {
    connection,
    db,
    connected,
    async ping() {
      await db().command({ ping: 1 });
    },
    async close() {
      stop.abort();
      await connection.close();
    },
  };
}

/** `mongodb://host:port/name?options`; several hosts and `mongodb+srv` included. */
const namesDatabase = (url: string): boolean => /^mongodb(?:\+srv)?:\/\/[^/]+\/[^/?]+/.test(url);

const UNREACHABLE: ReadonlySet<string> = new Set([
  'MongoNetworkError',
  'MongoNetworkTimeoutError',
  'MongoServerSelectionError',
  'MongoNotConnectedError',
  'MongoTopologyClosedError',
  'MongoClientClosedError',
  'MongoPoolClosedError',
  'MongoPoolClearedError',
  'MongoWaitQueueTimeoutError',
]);

/** Whether an operation failed because the database could not be reached, and not because of what was asked. */
export function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // What mongoose throws for an operation without a connection when buffering is off.
  return (
    UNREACHABLE.has(error.name) || (error.name === 'MongooseError' && error.message.includes('initial connection'))
  );
}

const DUPLICATE_KEY = 11_000;

/** Whether a unique index refused a write. */
export const isDuplicate = (error: unknown): boolean =>
  error instanceof mongo.MongoServerError && error.code === DUPLICATE_KEY;

/** Gives `false` instead of throwing when a unique index refused the write. */
export async function unlessDuplicate(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (isDuplicate(error)) return false;
    throw error;
  }
}

export const objectId = (id: string): Types.ObjectId => Types.ObjectId.createFromHexString(id);
