import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { accounting, HoldId } from '@tollgate/contracts';
import { createPostgresDatabase, type TestDatabase } from '@tollgate/test-kit';
import pg from 'pg';
import { developmentUrl, fillLedger } from '../scripts/fill-ledger.ts';
import { createLedgerAudit } from '../services/accounting/src/store/audit/ledger-audit.ts';
import { createChores } from '../services/accounting/src/store/chores.ts';
import { openModels } from '../services/accounting/src/store/models.ts';
import { openPostgres } from '../services/accounting/src/store/postgres.ts';
import { createReports } from '../services/accounting/src/store/reports.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createPostgresDatabase();
  await fillLedger(database.url, { rows: 6000, accounts: 1000, days: 30 }, () => undefined);
});
afterAll(() => database.drop());

describe('A filled ledger', () => {
  it('is as large as was asked, with one busy account, and stands every verification', async () => {
    const postgres = openPostgres({ url: database.url, poolSize: 2, acquireMs: 5000, onFault: () => undefined });
    try {
      const chores = createChores(postgres);
      for (let outcome = 'waiting'; outcome !== 'done'; ) outcome = await chores.rollUpUsage();
      const { checks } = await createLedgerAudit(postgres).verify({}, 60_000);
      expect(checks.filter(({ offenders }) => offenders > 0)).toEqual([]);
      const [size] = await postgres.query<Record<string, number>>(
        `SELECT count(*) AS rows, count(DISTINCT user_id) AS accounts, max(account_seq) AS longest,
                (SELECT count(*) FROM streaming_sessions WHERE status = 'active') AS open FROM credit_transactions`,
      );
      expect(Math.abs((size?.['rows'] ?? 0) - 6000)).toBeLessThan(300);
      expect(size).toMatchObject({ accounts: 1000, longest: 121, open: 1 });
    } finally {
      await postgres.close();
    }
  });

  it('has histories and sessions that can be answered as the contract has them', async () => {
    const models = openModels({ url: database.url, poolSize: 2, acquireMs: 5000 });
    const reports = createReports(models);
    try {
      for (const userId of ['1', 'a', '3e8'].map((text) => text.padStart(24, '0'))) {
        const transactions = await reports.transactions(userId, { limit: 100 });
        const { success, error } = accounting.listTransactions.result.safeParse({ transactions, nextCursor: null });
        expect({ userId, success, error }).toEqual({ userId, success: true, error: undefined });
        expect(transactions.length).toBeGreaterThan(1);
      }
      const sessions = await reports.sessions({ limit: 100 });
      expect(sessions.filter(({ holdId }) => !HoldId.safeParse(holdId).success)).toEqual([]);
      expect(sessions).toHaveLength(100);
    } finally {
      await models.sequelize.close();
    }
  });

  it('is not filled again', async () => {
    const again = fillLedger(database.url, { rows: 3, accounts: 1, days: 1 }, () => undefined);
    await expect(again).rejects.toThrow('has accounts already');
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query('SELECT count(*)::integer AS accounts FROM user_accounts');
    await client.end();
    expect(rows).toEqual([{ accounts: 1000 }]);
  });

  it.each([
    [{ DATABASE_URL: 'postgres://ledger.example.test/accounting' }],
    [{ DATABASE_URL: '' }],
    [{}],
    [{ DATABASE_URL: 'postgres://127.0.0.1/accounting', NODE_ENV: 'production' }],
  ])('is never that of another machine or of production: %j', (env) => {
    expect(() => developmentUrl(env)).toThrow();
  });
});
