import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { Connection } from './connection.ts';

/** Runs one statement and gives its rows. BIGINT comes as a number. */
export type Query = <Row>(sql: string, values?: readonly unknown[]) => Promise<Row[]>;

export type Postgres = Readonly<{
  /** A statement that is a transaction in itself. */
  query: Query;
  /** One transaction; repeated from the start when PostgreSQL undid it in favour of another. */
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T>;
  /** One transaction of a chore that may take long, on the connection for reports. */
  slow<T>(work: (query: Query) => Promise<T>): Promise<T>;
  /** One read-only snapshot for a long report, on the reserved connection's pool and with its own time limit. */
  snapshot<T>(work: (query: Query) => Promise<T>): Promise<T>;
  /** Asks on a connection of its own, which busy money connections cannot keep away. */
  ping(): Promise<void>;
  /** How many connections there are and what waits for one. */
  pools(): readonly PoolState[];
  /** For the rate limiter, which asks for itself. */
  counting: Counting;
  close(): Promise<void>;
}>;

export type Counting = Readonly<{ query(statement: pg.QueryConfig): Promise<pg.QueryResult> }>;

export type PoolState = Readonly<{ pool: string; open: number; free: number; waiting: number }>;

export type PostgresOptions = Readonly<{
  url: string;
  poolSize: number;
  /** Longest wait for a connection, in ms. */
  acquireMs: number;
  /** Settings that every connection carries and the functions of the ledger read: name → value without spaces. */
  settings?: Readonly<Record<string, string>>;
  /** A pooler stands between and gives each transaction another connection: whatever is set is set for a transaction. */
  isPooled?: boolean;
  /** Told about connections that break while nobody uses them. */
  onFault: (error: Error) => void;
  /** Longest statement of a snapshot, in ms; 0 for no limit. */
  reportMs?: number;
}>;

/** Longer than PostgreSQL waits before it looks for a deadlock (1 s): a deadlock is repeated here, a lock that is kept is a 503. */
const LOCK_TIMEOUT_MS = 1500;
const STATEMENT_TIMEOUT_MS = 3000;
const IDLE_IN_TRANSACTION_MS = 10_000;
/** Somewhat longer than the server's own limit: only a server that does not answer at all runs into it. */
const NO_ANSWER_MS = 4000;
const REPORT_MS = 120_000;
/**
 * A connection that is new makes and plans every statement of the ledger anew, at the cost of many holds: the few that only a
 * crowd needs are there when it comes.
 */
const IDLE_MS = 600_000;
/** An admin's verification need not wait for a reconciliation. */
const REPORT_CONNECTIONS = 2;

/** Opens the pools; nothing connects before the first statement. */
export function openPostgres(options: PostgresOptions): Postgres {
  const { url, poolSize, acquireMs, settings = {}, isPooled = false, onFault, reportMs = REPORT_MS } = options;
  const open = (max: number, statementMs: number) => {
    const pool = new pg.Pool({
      Client: Connection,
      connectionString: url,
      max,
      connectionTimeoutMillis: acquireMs,
      idleTimeoutMillis: IDLE_MS,
      ...(statementMs > 0 && { query_timeout: statementMs + NO_ANSWER_MS - STATEMENT_TIMEOUT_MS }),
      ...(!isPooled && { ...limitsOf(statementMs), options: optionsOf(settings) }),
      keepAlive: true,
      application_name: 'tollgate-accounting',
      types: { getTypeParser: typeParser },
    });
    // The pool hangs its connection on the error, with all that it is made of: pages of log for each, and who we connect as.
    pool.on('error', (error: Error & { client?: unknown }) => {
      delete error.client;
      onFault(error);
    });
    return pool;
  };
  const money = open(poolSize, STATEMENT_TIMEOUT_MS);
  const reserved = open(1, STATEMENT_TIMEOUT_MS);
  const reports = open(REPORT_CONNECTIONS, reportMs);
  /** One message, so that the settings cost no way to the database of their own. */
  const begun = (how: string, statementMs: number) =>
    isPooled ? [how, ...setLocals({ ...limitsOf(statementMs), ...settings })].join('; ') : how;
  const begin = begun('BEGIN', STATEMENT_TIMEOUT_MS);
  const query: Query = isPooled
    ? (sql, values) => inTransaction(money, begin, (within) => within(sql, values))
    : queryOn(money);
  return {
    query: (sql, values) => retried(() => query(sql, values)),
    transaction: (work) => retried(() => inTransaction(money, begin, work)),
    slow: (work) => inTransaction(reports, begun('BEGIN', reportMs), work),
    snapshot: (work) =>
      inTransaction(reports, begun('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', reportMs), work),
    async ping() {
      await reserved.query('SELECT 1');
    },
    pools: () => [stateOf('ledger', money), stateOf('reserved', reserved), stateOf('reports', reports)],
    counting: isPooled ? unnamed(money) : money,
    async close() {
      await Promise.all([money.end(), reserved.end(), reports.end()]);
    },
  };
}

const stateOf = (pool: string, { totalCount, idleCount, waitingCount }: pg.Pool): PoolState => ({
  pool,
  open: totalCount,
  free: idleCount,
  waiting: waitingCount,
});

const limitsOf = (statementMs: number) => ({
  statement_timeout: statementMs,
  lock_timeout: LOCK_TIMEOUT_MS,
  idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
});

const setLocals = (settings: Readonly<Record<string, string | number>>): string[] =>
  Object.entries(settings).map(([name, value]) => `SET LOCAL ${name} = ${pg.escapeLiteral(String(value))}`);

/** A name would prepare the statement on one connection, and the next one would not know it. */
const unnamed = (pool: pg.Pool): Counting => ({
  query: ({ text, values }) => pool.query({ text, ...(values && { values }) }),
});

const optionsOf = (settings: Readonly<Record<string, string>>): string =>
  Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');

const queryOn =
  (connection: pg.Pool | pg.PoolClient): Query =>
  async <Row>(sql: string, values: readonly unknown[] = []) =>
    (await connection.query(sql, [...values])).rows as Row[];

async function inTransaction<T>(pool: pg.Pool, begin: string, work: (query: Query) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let fault: unknown;
  // A connection that breaks between two statements says so by an event; without a listener that would end the process.
  const onBreak = (error: Error) => {
    fault = error;
  };
  client.on('error', onBreak);
  try {
    await client.query(begin);
    const result = await work(queryOn(client));
    await client.query('COMMIT');
    return result;
  } catch (error) {
    // A server that has not answered in time would not answer this either: the transaction ends with its connection.
    fault ??= isSilence(error) ? error : await rollBack(client);
    throw error;
  } finally {
    client.off('error', onBreak);
    // A connection that could not even roll back is not put back.
    client.release(fault instanceof Error ? fault : undefined);
  }
}

const isSilence = (error: unknown): boolean => error instanceof Error && error.message === 'Query read timeout';

async function rollBack(client: pg.PoolClient): Promise<unknown> {
  try {
    await client.query('ROLLBACK');
    return undefined;
  } catch (error) {
    return error;
  }
}

/** serialization_failure and deadlock_detected: undone whole, so that a repetition has exactly one effect. */
const UNDONE = new Set(['40001', '40P01']);
const MOST_RETRIES = 3;
const RETRY_MS = 20;
/**
 * In the middle of the statement an upgrade has made the functions anew, and PostgreSQL looks for the old ones. Undone whole, too;
 * each connection may say it once.
 */
const SAID_RENEWED = /^(cache lookup failed for|could not open relation with OID) /;
const isRenewed = (error: unknown): boolean =>
  error instanceof Error && (SAID_RENEWED.test(error.message) || NOT_FOUND.has(sqlState(error)));
/** Functions, types, relations and schemas. */
const NOT_FOUND = new Set(['42883', '42704', '42P01', '3F000']);
const MOST_RENEWALS = 10;

async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const most = isRenewed(error) ? MOST_RENEWALS : UNDONE.has(sqlState(error)) ? MOST_RETRIES : 0;
      if (attempt >= most) throw error;
      await pause(RETRY_MS * 2 ** Math.min(attempt, MOST_RETRIES) * (1 + Math.random()));
    }
  }
}

const INT8 = pg.types.builtins.INT8;

const typeParser: typeof pg.types.getTypeParser = (oid: number, format?: string) =>
  oid === INT8 ? toNumber : pg.types.getTypeParser(oid, format as 'text');

/** Credits and ids stay below 2^53 by the database's own checks; anything else must not be rounded in silence. */
function toNumber(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number)) throw new RangeError(`${text} is larger than a number can hold`);
  return number;
}

/** The SQLSTATE of an error, or ''. */
export const sqlState = (error: unknown): string => {
  const { code } = Object(error) as { code?: unknown };
  return typeof code === 'string' ? code : '';
};

/** Two classes of trouble that are nobody's fault and pass: the database is away or too busy; its disk is full. */
export function troubleOf(error: unknown): 'unavailable' | 'full' | undefined {
  const state = sqlState(error);
  if (state === '53100') return 'full';
  const isAway = AWAY.test(state) || isRenewed(error) || (error instanceof Error && SAID_AWAY.test(error.message));
  return isAway ? 'unavailable' : undefined;
}

/**
 * Connection exceptions (08), operator intervention (57P0x), too many connections, cancelled or waited too long (57014, 55P03),
 * undone too often (40001, 40P01), a standby (25006), a database not made yet (3D000), and what the socket says. A schema not migrated yet is
 * one that is being made anew.
 */
const AWAY =
  /^(08\w{3}|57P0\d|53300|53400|57014|55P03|40001|40P01|25006|25P03|3D000|ECONN\w+|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH)$/;
const SAID_AWAY =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Cannot use a pool after calling end)/;
