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
  close(): Promise<void>;
}

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
      const [available, held, openHolds, terminalHolds, charged] = await Promise.all([
        number('SELECT total_credits AS value FROM user_accounts WHERE id = $1', [userId]),
        number('SELECT held_credits AS value FROM user_accounts WHERE id = $1', [userId]),
        number("SELECT count(*) AS value FROM streaming_sessions WHERE user_id = $1 AND status = 'active'", [userId]),
        number("SELECT count(*) AS value FROM streaming_sessions WHERE user_id = $1 AND status <> 'active'", [userId]),
        number('SELECT coalesce(sum(charged_credits), 0) AS value FROM streaming_sessions WHERE user_id = $1', [
          userId,
        ]),
      ]);
      return { available, held, openHolds, terminalHolds, charged };
    },
    sumOfAllEntries: () => number('SELECT coalesce(sum(amount), 0) AS value FROM credit_entries'),
    openHolds: () => number("SELECT count(*) AS value FROM streaming_sessions WHERE status = 'active'"),
    close: () => pool.end(),
  };
}
