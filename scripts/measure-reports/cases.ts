import type { Accounts, GroupQuery, Reports } from '../../services/accounting/src/ports.ts';
import type { Query } from '../../services/accounting/src/store/postgres.ts';

interface Case {
  readonly title: string;
  readonly run: () => Promise<unknown>;
}

interface Sources {
  readonly reports: Reports;
  readonly accounts: Accounts;
  readonly query: Query;
}

const PAGE = 50;
const DAYS_MS = 86_400_000;

/** What people look at, as the service reads it. */
export async function measureCases({ reports, accounts, query }: Sources): Promise<Case[]> {
  const [busy] = await query<{ user_id: string; last: number }>(
    'SELECT id AS user_id, ledger_seq AS last FROM user_accounts ORDER BY ledger_seq DESC LIMIT 1',
  );
  const [usual] = await query<{ user_id: string }>(
    'SELECT id AS user_id FROM user_accounts WHERE ledger_seq BETWEEN 5 AND 20 ORDER BY id DESC LIMIT 1 OFFSET 7',
  );
  const [clock] = await query<{ now: Date }>('SELECT ledger_now() AS now');
  const [deep] = await query<{ micros: number; id: number }>(
    `SELECT (extract(epoch FROM "timestamp") * 1000000)::bigint AS micros, id FROM usage_logs ORDER BY "timestamp" LIMIT 1 OFFSET 2000`,
  );
  const busyId = busy?.user_id ?? '';
  const userId = usual?.user_id ?? '';
  const ninety = { from: new Date((clock?.now.getTime() ?? 0) - 90 * DAYS_MS) };
  const groups =
    (dimensions: GroupQuery['dimensions'], more: Partial<GroupQuery> = {}) =>
    () =>
      reports.usageGroups({ dimensions, period: {}, filter: {}, limit: 100, ...more });
  return [
    { title: 'system stats, 30 days', run: () => reports.usage({}) },
    { title: 'system stats, 90 days', run: () => reports.usage(ninety) },
    ...(['day', 'service', 'model', 'chatflow', 'workspace', 'user'] as const).map((dimension) => ({
      title: `report by ${dimension}, 30 days`,
      run: groups([dimension]),
    })),
    { title: 'report by user, 90 days', run: groups(['user'], { period: ninety }) },
    {
      title: 'report by user, 90 days, from the middle',
      run: groups(['user'], { period: ninety, after: ['000000000000000000004000'] }),
    },
    { title: 'report by day and model, 90 days', run: groups(['day', 'model'], { period: ninety }) },
    { title: 'report by model, user and day, 30 days', run: groups(['model', 'user', 'day']) },
    { title: 'report by day of one user', run: groups(['day'], { filter: { userId } }) },
    { title: 'stats of one user', run: () => reports.usage({}, userId) },
    { title: 'stats of the busiest user', run: () => reports.usage({}, busyId) },
    { title: 'usage rows of one user', run: () => reports.usageRecords({ userId, period: {}, limit: PAGE }) },
    { title: 'usage rows of everybody', run: () => reports.usageRecords({ period: {}, limit: PAGE }) },
    {
      title: 'usage rows of everybody, deep',
      run: () => reports.usageRecords({ period: {}, limit: PAGE, after: deep }),
    },
    { title: 'history of one user', run: () => reports.transactions(userId, { limit: PAGE }) },
    { title: 'history of the busiest user', run: () => reports.transactions(busyId, { limit: PAGE }) },
    {
      title: 'history of the busiest user, deep',
      run: () => reports.transactions(busyId, { limit: PAGE, after: PAGE + 2 }),
    },
    { title: 'balance of one user', run: () => Promise.all([accounts.balance(userId), accounts.activeLots(userId)]) },
    { title: 'allocations', run: () => reports.allocations({ limit: PAGE }) },
    { title: 'allocations, deep', run: () => reports.allocations({ limit: PAGE, after: PAGE + 2 }) },
    { title: 'active sessions of everybody', run: () => reports.sessions({ active: true, limit: 100 }) },
    { title: 'active sessions of one user', run: () => reports.sessions({ userId, active: true, limit: 100 }) },
    { title: 'recent sessions of everybody', run: () => reports.sessions({ minutes: 60, limit: 50 }) },
    { title: 'recent sessions of one user', run: () => reports.sessions({ userId, minutes: 60, limit: 20 }) },
  ];
}
