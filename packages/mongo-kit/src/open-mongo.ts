import { setTimeout as pause } from 'node:timers/promises';
import { type Connection, Mongoose, mongo } from 'mongoose';
import { type PoolState, watchPool } from './pool-state.ts';
import { driverSilence } from './driver-silence.ts';
import { TookTooLong, troubleOf } from './faults.ts';

export interface MongoOptions {
  readonly url: string;
  /** Used when the URL names no database. */
  readonly defaultDatabase: string;
  /** Most connections that are open at once; 20 when absent. */
  readonly poolSize?: number;
  /** Milliseconds {@link Mongo.run} gives one operation; 15,000 when absent, the driver's limit for a silent socket. */
  readonly operationTimeoutMs?: number;
  /**
   * After such a silence of the driver's own watch over its servers everything is connected anew; 10,000 more than an operation
   * may take when absent.
   */
  readonly silentMs?: number;
  /** Put around each operation of {@link Mongo.run}: a step of a trace. */
  readonly around?: <T>(operation: () => Promise<T>) => Promise<T>;
  /** Told once per failed attempt to connect, and when a connection is given up. */
  readonly onFault?: (error: unknown) => void;
}

/** A connection that is opened in the background, and again by the driver after every loss. */
export interface Mongo {
  /** For models. */
  readonly connection: Connection;
  /** The driver's database; throws while there is no connection. */
  db(): mongo.Db;
  /** A collection of plain documents; throws while there is no connection. */
  collection<Row extends mongo.Document>(name: string): mongo.Collection<Row>;
  /** Waits for an operation no longer than its time; {@link troubleOf} knows the error that follows. */
  run<T>(operation: () => Promise<T>): Promise<T>;
  /** The same store, each of whose functions is one operation of {@link run}. All of them must be asynchronous. */
  bounded<Store extends object>(store: Store): Store;
  /** Resolves at the first connection, or when the connection is closed before it. */
  readonly connected: Promise<void>;
  /** As {@link run}, on connections of its own that busy ones cannot keep away: for signs of life, which are short and few. */
  aside<T>(operation: (db: mongo.Db) => Promise<T>): Promise<T>;
  /** Whether the server answers, asked {@link aside}. */
  ping(): Promise<void>;
  /** How many connections there are, and how many operations wait for one. */
  pool(): PoolState;
  close(): Promise<void>;
}

const RECONNECT_MS = 1000;
const SOCKET_TIMEOUT_MS = 15_000;
const SELECTION_TIMEOUT_MS = 2000;
/** The driver's own 10 s are also the longest time in which it does not see that a database is back. */
const HEARTBEAT_MS = 1000;
const POOL_SIZE = 20;
const SILENT_MS = 10_000;
/** A driver that has lost its way may not find its end either. */
const CLOSE_MS = 5000;

/**
 * Connects in the background and keeps trying, so that a service starts also while its database is down. Operations fail at
 * once instead of waiting in memory. Filters of models take plain values only; an operator needs mongoose's `trusted()`.
 */
export function openMongo(options: MongoOptions): Mongo {
  const mongoose = new Mongoose();
  // Migrations alone make collections and indexes.
  mongoose.set({ bufferCommands: false, autoIndex: false, autoCreate: false });
  mongoose.set({ sanitizeFilter: true, strict: 'throw', strictQuery: 'throw', runValidators: true });
  const connection = mongoose.createConnection();
  const closing = new AbortController();
  const { promise: connected, resolve } = Promise.withResolvers<void>();
  // Not what mongoose says when asked: for it a connection is lost, too, when a clock jumps or the process has stood still.
  let isThere = false;
  for (const event of ['connected', 'disconnected', 'close'])
    connection.on(event, () => (isThere = event === 'connected'));
  void keepConnected(connection, options, { closing: closing.signal, opened: resolve }).finally(resolve);
  const { operationTimeoutMs = SOCKET_TIMEOUT_MS, around = (operation) => operation() } = options;

  function db(): mongo.Db {
    if (!isThere || !connection.db) throw new mongo.MongoNotConnectedError('not connected');
    return connection.db;
  }
  const inTime: Mongo['run'] = (operation) => within(operationTimeoutMs, operation);
  const run: Mongo['run'] = (operation) => around(() => inTime(operation));
  const aside = openAside(options, inTime);
  return {
    connection,
    connected,
    db,
    collection: (name) => db().collection(name),
    run,
    pool: watchPool(connection),
    bounded: (store) => boundedBy(run, store),
    async aside(operation) {
      db();
      return aside.run(operation);
    },
    async ping() {
      db();
      await aside.run((its) => its.command({ ping: 1 }));
    },
    async close() {
      closing.abort();
      await Promise.all([connection.close(), aside.close()]);
    },
  };
}

const ASIDE_POOL_SIZE = 2;

/** Connects with the first operation, and again after every loss. */
function openAside(options: MongoOptions, inTime: Mongo['run']) {
  const { url, operationTimeoutMs = SOCKET_TIMEOUT_MS } = options;
  const settings = { ...timeoutsFor(operationTimeoutMs), maxPoolSize: ASIDE_POOL_SIZE };
  let current: mongo.MongoClient | undefined;
  return {
    async run<T>(operation: (db: mongo.Db) => Promise<T>): Promise<T> {
      const client = (current ??= new mongo.MongoClient(url, settings));
      try {
        return await inTime(() => operation(client.db(namesDatabase(url) ? undefined : options.defaultDatabase)));
      } catch (error) {
        // The next operation gets a driver that cannot have lost its way.
        if (troubleOf(error) === 'unavailable' && current === client) {
          current = undefined;
          void client.close().catch(() => undefined);
        }
        throw error;
      }
    },
    close: async () => current?.close(),
  };
}

/**
 * Whoever waits for a connection has given up after the time of an operation. A new connection that is given up earlier, because
 * the server has much to do, would take all others of the pool with it.
 */
const timeoutsFor = (operationTimeoutMs: number) => ({
  serverSelectionTimeoutMS: SELECTION_TIMEOUT_MS,
  connectTimeoutMS: operationTimeoutMs,
  waitQueueTimeoutMS: operationTimeoutMs,
  socketTimeoutMS: SOCKET_TIMEOUT_MS,
  heartbeatFrequencyMS: HEARTBEAT_MS,
});

interface Keeping {
  readonly closing: AbortSignal;
  readonly opened: () => void;
}

/** Until it is closed. The driver finds a server again by itself, unless it has stopped asking for it. */
async function keepConnected(
  connection: Connection,
  options: MongoOptions,
  { closing, opened }: Keeping,
): Promise<void> {
  const {
    url,
    defaultDatabase,
    poolSize = POOL_SIZE,
    operationTimeoutMs = SOCKET_TIMEOUT_MS,
    silentMs = SILENT_MS + operationTimeoutMs,
    onFault,
  } = options;
  const settings = {
    ...timeoutsFor(operationTimeoutMs),
    maxPoolSize: poolSize,
    retryWrites: true,
    ...(!namesDatabase(url) && { dbName: defaultDatabase }),
  };
  while (!closing.aborted) {
    try {
      await connection.openUri(url, settings);
      opened();
      await driverSilence(connection.getClient(), silentMs, closing);
      if (closing.aborted) return;
      onFault?.(new Error('the driver has not asked for its server for too long: connecting anew'));
      await Promise.race([connection.close(), pause(CLOSE_MS, undefined, { signal: closing })]);
    } catch (error) {
      if (closing.aborted) return;
      onFault?.(error);
      await pause(RECONNECT_MS, undefined, { signal: closing }).catch(() => undefined);
    }
  }
}

/** Resolves at the first connection, or when nobody wants one any more. */
export async function untilConnected({ connected }: Pick<Mongo, 'connected'>, stopping: AbortSignal): Promise<void> {
  if (stopping.aborted) return;
  const { promise: stopped, resolve } = Promise.withResolvers<void>();
  stopping.addEventListener('abort', () => resolve(), { once: true });
  await Promise.race([connected, stopped]);
}

function boundedBy<Store extends object>(run: Mongo['run'], store: Store): Store {
  return new Proxy(store, {
    get(target, name, receiver) {
      const operation: unknown = Reflect.get(target, name, receiver);
      if (typeof operation !== 'function') return operation;
      return (...inputs: unknown[]) => run(async () => Reflect.apply(operation, target, inputs) as unknown);
    },
  });
}

/** `mongodb://host:port/name?options`; several hosts and `mongodb+srv` included. */
const namesDatabase = (url: string): boolean => /^mongodb(?:\+srv)?:\/\/[^/]+\/[^/?]+/.test(url);

async function within<T>(timeoutMs: number, operation: () => Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new TookTooLong(`no answer in ${timeoutMs} ms`)), timeoutMs);
  try {
    return await Promise.race([operation(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
