import pg from 'pg';

/** What the ledger says about one payer, read from the tables themselves and not through the service. */
export interface BooksOfUser {
  readonly available: number;
  readonly held: number;
  readonly openHolds: number;
  readonly terminalHolds: number;
  /** Σ of settled charges of all holds. */
  readonly charged: number;
}

export interface Books {
  ofUser(userId: string): Promise<BooksOfUser>;
  /** Σ of all entries of all ledger accounts; 0 in a balanced ledger. */
  sumOfAllEntries(): Promise<number>;
  openHolds(): Promise<number>;
  query<T extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<T[]>;
  /** One transaction beside those of the service, for locks. */
  transaction<T>(work: (query: Books['query']) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** One statement, so that all figures are of one moment. */
const ONE_USER = `
  SELECT a.total_credits AS available, a.held_credits AS held, h.open AS "openHolds", h.terminal AS "terminalHolds", h.charged
  FROM user_accounts a, LATERAL (
    SELECT count(*) FILTER (WHERE status = 'active') AS open, count(*) FILTER (WHERE status <> 'active') AS terminal,
           coalesce(sum(charged_credits), 0) AS charged
    FROM streaming_sessions WHERE user_id = a.id
  ) h WHERE a.id = $1`;

/** Opens accounting's database beside the service, read only by intent. */
export function openBooks(url: string): Books {
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  // A server that is killed by a test closes idle connections with an error nobody waits for.
  pool.on('error', () => undefined);
  const query = async <T extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<T[]> =>
    (await pool.query<T>(sql, values)).rows;
  const number = async (sql: string, values: unknown[] = []): Promise<number> =>
    Number((await query<{ value: string }>(sql, values))[0]?.value ?? 0);
  return {
    query,
    async ofUser(userId) {
      const [row] = await query<Record<keyof BooksOfUser, string>>(ONE_USER, [userId]);
      const { available = 0, held = 0, openHolds = 0, terminalHolds = 0, charged = 0 } = row ?? {};
      return {
        available: Number(available),
        held: Number(held),
        openHolds: Number(openHolds),
        terminalHolds: Number(terminalHolds),
        charged: Number(charged),
      };
    },
    sumOfAllEntries: () => number('SELECT coalesce(sum(amount), 0) AS value FROM credit_entries'),
    openHolds: () => number("SELECT count(*) AS value FROM streaming_sessions WHERE status = 'active'"),
    async transaction(work) {
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        const done = await work(async (sql, values = []) => (await client.query(sql, values)).rows);
        await client.query('COMMIT');
        return done;
      } finally {
        // A transaction that broke off ends with its connection.
        client.release(true);
      }
    },
    close: () => pool.end(),
  };
}
