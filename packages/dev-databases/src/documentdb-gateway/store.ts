import pg from 'pg';

/** Where statements run: any pooled connection, or the one connection of a transaction. */
export type Runner = { query<Row extends pg.QueryResultRow>(statement: Statement, values: unknown[]): Promise<Row[]> };

/** A statement PostgreSQL plans once per connection. */
export type Statement = { name: string; text: string };

export type Pinned = Runner & {
  /** Ends the transaction. @returns false when PostgreSQL rolled back instead of committing. */
  commit(): Promise<boolean>;
  rollback(): Promise<void>;
};

export type Store = Runner & {
  begin(): Promise<Pinned>;
  close(): Promise<void>;
};

/** More would only wait for the processors; waiting here costs nothing. */
const POOL_CONNECTIONS = 24;
/** A pool of their own: transactions that wait for a connection held by other transactions' neighbours would deadlock. */
const TRANSACTION_CONNECTIONS = 128;
/** A new one costs tens of milliseconds; MongoDB's threads cost next to nothing. */
const IDLE_MS = 600_000;
/** MongoDB answers a write conflict at once instead of waiting for the other transaction; this is as near as locks get. */
const TRANSACTION_LOCK_MS = 250;

const BEGIN = `BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout = ${TRANSACTION_LOCK_MS}`;

export function openStore(connectionString: string): Store {
  const settings = { connectionString, idleTimeoutMillis: IDLE_MS, application_name: 'documentdb-gateway' };
  const pool = new pg.Pool({ ...settings, max: POOL_CONNECTIONS });
  const transactions = new pg.Pool({ ...settings, max: TRANSACTION_CONNECTIONS });
  // An idle connection that breaks is replaced by the pool; the next command tells the client what is wrong.
  for (const each of [pool, transactions]) each.on('error', () => undefined);
  return {
    query: async (statement, values) => (await pool.query({ ...statement, values })).rows,
    begin: () => begin(transactions),
    close: async () => {
      await Promise.all([pool.end(), transactions.end()]);
    },
  };
}

async function begin(pool: pg.Pool): Promise<Pinned> {
  const client = await pool.connect();
  const finish = async (words: 'COMMIT' | 'ROLLBACK'): Promise<boolean> => {
    try {
      const { command } = await client.query(words);
      client.release();
      return command === words;
    } catch (error) {
      client.release(true);
      throw error;
    }
  };
  try {
    await client.query(BEGIN);
  } catch (error) {
    client.release(true);
    throw error;
  }
  return {
    query: async (statement, values) => (await client.query({ ...statement, values })).rows,
    commit: () => finish('COMMIT'),
    rollback: async () => void (await finish('ROLLBACK').catch(() => false)),
  };
}
