import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createPostgresDatabase, type TestDatabase } from '@tollgate/test-kit';
import { openModels } from '../../src/store/models.ts';
import { openPostgres, type Postgres } from '../../src/store/postgres.ts';

const SETTINGS = { 'tollgate.welcome_credits': '7', 'tollgate.refund_grace': "1 day'" };
const SEEN = `SELECT current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,
  current_setting('tollgate.welcome_credits', true) AS welcome, current_setting('tollgate.refund_grace', true) AS grace`;

let database: TestDatabase;
let postgres: Postgres;
beforeAll(async () => {
  database = await createPostgresDatabase();
  postgres = openPostgres({
    url: database.url,
    poolSize: 1,
    acquireMs: 30_000,
    settings: SETTINGS,
    isPooled: true,
    onFault: () => undefined,
  });
});
afterAll(async () => {
  await postgres.close();
  await database.drop();
});

describe('behind a pooler that gives each transaction another connection', () => {
  const inside = { lock: '1500ms', welcome: '7', grace: "1 day'" };

  it('every statement has its time limits and what the functions of the ledger read', async () => {
    expect(await postgres.query(SEEN)).toEqual([{ ...inside, statement: '3s' }]);
    expect(await postgres.transaction((query) => query(SEEN))).toEqual([{ ...inside, statement: '3s' }]);
    expect(await postgres.slow((query) => query(SEEN))).toEqual([{ ...inside, statement: '2min' }]);
    expect(await postgres.snapshot((query) => query(SEEN))).toEqual([{ ...inside, statement: '2min' }]);
  });

  it('nothing of it stays on the connection for whoever comes next', async () => {
    await postgres.query(SEEN);
    const { rows } = await postgres.counting.query({ text: SEEN });
    expect(rows).toMatchObject([{ statement: '0', lock: '0' }]);
    expect(rows[0]?.welcome ?? '').toBe('');
  });

  it('the counts of rate limits are no prepared statements of one connection', async () => {
    await postgres.counting.query({ name: 'counted', text: 'SELECT $1::int AS n', values: [1] });
    const { rows } = await postgres.counting.query({
      text: 'SELECT count(*)::int AS n FROM pg_prepared_statements',
    });
    expect(rows).toEqual([{ n: 0 }]);
  });

  it('lists and reports ask for nothing when they connect that a pooler would refuse', async () => {
    const { sequelize } = openModels({ url: database.url, poolSize: 1, acquireMs: 30_000, isPooled: true });
    const [rows] = await sequelize.query(SEEN);
    expect(rows).toMatchObject([{ statement: '0', lock: '0' }]);
    await sequelize.close();
  });
});

const SOURCES = fileURLToPath(new URL('../../src/', import.meta.url));
/** What lasts longer than its transaction, and would be somebody else's behind a pooler. */
const OF_A_SESSION = [
  /\bpg_(?:try_)?advisory_(?:lock|unlock)(?:_shared)?\s*\(/i,
  /\bset_config\([^)]*,\s*false\s*\)/i,
  /(?:^|[`'";])\s*(?:UN)?LISTEN\s+\w/m,
  /(?:^|[`'";]\s*)SET\s+(?!LOCAL\b|CONSTRAINTS\b|TRANSACTION\b)\w+(?:\.\w+)?\s*(?:=|TO\b)/m,
  /(?:^|[`'";])\s*(?:PREPARE|DEALLOCATE)\s+\w/m,
  /\bCREATE\s+(?:LOCAL\s+)?TEMP(?:ORARY)?\s+TABLE\s+(?![^;]*ON COMMIT DROP)/i,
  /\bWITH HOLD\b/i,
];

it('no statement of accounting relies on a connection that stays its own', () => {
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.(?:ts|sql)$/.test(file),
  );
  expect(files.length).toBeGreaterThan(50);
  const relying = files.flatMap((file) => {
    const text = readFileSync(SOURCES + file, 'utf8');
    return OF_A_SESSION.filter((pattern) => pattern.test(text)).map((pattern) => `${file}: ${pattern.exec(text)?.[0]}`);
  });
  expect(relying).toEqual([]);
});
