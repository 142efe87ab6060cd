import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { accounting } from '@tollgate/contracts';
import { Accounting, type User } from '../harness/accounting.ts';
import { daysAgo, insertUsage, someUsage, sumsOf, sumUp, type UsageRow, usageRow } from './usage-rows.ts';

let service: Accounting;
let admin: User;
let supervisor: User;
let users: User[];
let rows: UsageRow[];
const DAYS = 8;

beforeAll(async () => {
  service = await Accounting.start();
  admin = await service.user({ role: 'admin' });
  supervisor = await service.user({ role: 'supervisor' });
  users = await Promise.all([service.user(), service.user(), service.user()]);
  rows = someUsage(
    users.map(({ userId }) => userId),
    DAYS,
    400,
  );
  await insertUsage(service.db, rows);
});
afterAll(async () => {
  expect(await service.faults()).toEqual([]);
  await service.stop();
});

type Row = Record<string, unknown>;
/** The same rows in one order, and each with its fields in one order. */
const sorted = (list: readonly Row[]) => {
  const inOrder = <T>(values: T[]) => values.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  return inOrder(list.map((row) => Object.fromEntries(inOrder(Object.entries(row)))));
};

/** All pages of a report. */
async function report(user: User, query: string, path = '/api/usage/report'): Promise<Row[]> {
  const found: Row[] = [];
  for (let cursor: unknown = ''; cursor !== null; ) {
    const more = cursor === '' ? '' : `&cursor=${encodeURIComponent(String(cursor))}`;
    const { body } = service.expect(200, await service.call('GET', `${path}?${query}${more}`, { token: user.token }));
    found.push(...(body['rows'] as Row[]));
    cursor = body['nextCursor'];
  }
  return found;
}

const DIMENSIONS = accounting.USAGE_DIMENSIONS;
const COMBINATIONS = DIMENSIONS.flatMap((a, i) => [
  [a],
  ...DIMENSIONS.slice(i + 1).flatMap((b, j) => [[a, b], ...DIMENSIONS.slice(i + j + 2).map((c) => [a, b, c])]),
]);

/** Every report there is, against sums reckoned from the rows. */
async function expectAllReports(expected: readonly UsageRow[]): Promise<void> {
  for (const dimensions of COMBINATIONS) {
    const said = await report(admin, `groupBy=${dimensions.join()}&startDate=${daysAgo(DAYS)}&limit=100`);
    expect({ dimensions, rows: sorted(said) }).toEqual({ dimensions, rows: sorted(sumsOf(expected, dimensions)) });
  }
}

describe('A report of usage', () => {
  it('is the sum of the rows by any one, two or three dimensions, corrections with their sign', async () => {
    expect(COMBINATIONS).toHaveLength(41);
    expect(rows.some(({ credits }) => credits < 0)).toBe(true);
    await expectAllReports(rows);
  });

  it('stays that while days are summed, by one instance or by two at once, again and again, and after a late correction', async () => {
    const second = await service.another();
    const nextDay = () =>
      service.db.query('SELECT next_day::text AS day FROM usage_rollup').then((r) => r.rows[0]?.day);
    expect(await nextDay()).toBeNull();
    await sumUp(service, 2);
    expect(await nextDay()).toBe(daysAgo(DAYS - 2));
    await expectAllReports(rows);

    await Promise.all(
      [service.flows, second.deps.flows, service.flows, second.deps.flows].map((flows) => flows.rollUpUsage()),
    );
    await sumUp(service);
    const { rows: open } = await service.db.query('SELECT (ledger.last_complete_day() + 1)::text AS day');
    expect(await nextDay()).toBe(open[0]?.day);
    expect(await service.flows.rollUpUsage()).toBe(false);
    await expectAllReports(rows);

    const late = usageRow({
      user_id: rows[0]?.user_id ?? '',
      credits: -9,
      is_correction: true,
      timestamp: `${daysAgo(0)}T00:00:00Z`,
    });
    await insertUsage(service.db, [late]);
    rows.push(late);
    await expectAllReports(rows);
  });

  it('counts only what its filters and its period name', async () => {
    const [user] = users;
    const startDate = `${daysAgo(5)}T12:34:56.790Z`;
    const endDate = `${daysAgo(2)}T12:34:56.780Z`;
    const named = { workspaceId: 'ws-1', chatflowId: 'flow-2', model: 'model-ä', service: 'accounting' };
    const within = rows.filter(({ timestamp }) => timestamp >= startDate && timestamp < endDate);
    const period = `groupBy=day,model&startDate=${startDate}&endDate=${endDate}`;
    expect(sorted(await report(admin, period))).toEqual(sorted(sumsOf(within, ['day', 'model'])));
    for (const [name, value] of Object.entries({ ...named, userId: user?.userId ?? '' })) {
      const column = { workspaceId: 'workspace_id', chatflowId: 'chatflow_id', userId: 'user_id' }[name] ?? name;
      const expected = within.filter((row) => row[column as keyof UsageRow] === value);
      expect(expected.length).toBeGreaterThan(0);
      const said = await report(admin, `${period}&${name}=${encodeURIComponent(value)}`);
      expect({ name, rows: sorted(said) }).toEqual({ name, rows: sorted(sumsOf(expected, ['day', 'model'])) });
    }
  });

  it('ends with the day that endDate names, and begins with the one of startDate', async () => {
    const day = daysAgo(3);
    const expected = rows.filter(({ timestamp }) => timestamp.startsWith(day));
    const said = await report(admin, `groupBy=day&startDate=${day}&endDate=${day}`);
    expect(said).toEqual(sumsOf(expected, ['day']));
    const { body } = await service.call('GET', `/api/usage/report?startDate=${day}&endDate=${day}`, {
      token: admin.token,
    });
    expect(body['period']).toEqual({ from: `${day}T00:00:00.000Z`, until: `${daysAgo(2)}T00:00:00.000Z` });
  });

  it('may end on the last day of the calendar', async () => {
    for (const period of [
      'endDate=9999-12-31',
      'endDate=9999-12-31T23:59:59-12:00',
      'startDate=9999-12-31T23:59:59-12:00',
    ])
      expect((await service.call('GET', `/api/usage/report?${period}`, { token: admin.token })).status).toBe(200);
  });

  it('agrees with the stats of everybody and of one user', async () => {
    const period = `startDate=${daysAgo(DAYS)}`;
    const total = (list: readonly UsageRow[]) => list.reduce((sum, { credits }) => sum + credits, 0);
    const { body } = await service.call('GET', `/api/usage/system-stats?${period}`, { token: admin.token });
    const sums = (dimension: 'user' | 'service' | 'day') =>
      Object.fromEntries(sumsOf(rows, [dimension]).map((row) => [Object.values(row)[0], row.credits]));
    expect(body).toMatchObject({ totalRecords: rows.length, totalCredits: total(rows) });
    expect(body['byUser']).toEqual(sums('user'));
    expect(body['byService']).toEqual(sums('service'));
    expect(body['byDay']).toEqual(sums('day'));
    const labelled = rows.map((row) => ({ ...row, model: row.model ?? row.chatflow_id ?? 'none' }));
    expect(body['byModel']).toEqual(
      Object.fromEntries(sumsOf(labelled, ['model']).map((row) => [Object.values(row)[0], row.credits])),
    );
    for (const { userId, token } of users) {
      const own = rows.filter((row) => row.user_id === userId);
      const stats = await service.call('GET', `/api/usage/stats?${period}`, { token });
      expect(stats.body).toMatchObject({ totalRecords: own.length, totalCredits: total(own) });
      expect(stats.body).not.toHaveProperty('byUser');
    }
  });

  it('loses and doubles no group while usage is written between its pages', async () => {
    const query = `groupBy=user,day,model&startDate=${daysAgo(DAYS)}&limit=7`;
    const before = sumsOf(rows, ['user', 'day', 'model']);
    const found: Row[] = [];
    const more: UsageRow[] = [];
    for (let cursor: unknown = ''; cursor !== null; ) {
      const next = cursor === '' ? '' : `&cursor=${String(cursor)}`;
      const { body } = await service.call('GET', `/api/usage/report?${query}${next}`, { token: admin.token });
      found.push(...(body['rows'] as Row[]));
      cursor = body['nextCursor'];
      more.push(
        ...users.map(({ userId }) =>
          usageRow({ user_id: userId, model: `new-${more.length}`, timestamp: `${daysAgo(0)}T00:00:00Z` }),
        ),
      );
      await insertUsage(service.db, more.slice(-users.length));
    }
    rows.push(...more);
    const keyOf = ({ userId, day, model }: Row) => JSON.stringify([userId, day, model]);
    const keys = found.map(keyOf);
    expect(new Set(keys).size).toBe(keys.length);
    expect(before.map(keyOf).filter((key) => !keys.includes(key))).toEqual([]);
  });
});

describe('Who may see a report:', () => {
  it('an end user the own usage alone, whatever the query and the cursor say', async () => {
    const [alice, bob] = users as [User, User];
    const query = `groupBy=user,day&startDate=${daysAgo(DAYS)}`;
    const own = await report(alice, query, '/api/usage/report/own');
    const mine = rows.filter(({ user_id }) => user_id === alice.userId);
    expect(sorted(own)).toEqual(sorted(sumsOf(mine, ['user', 'day'])));
    const cursor = Buffer.from(JSON.stringify(['user,day', '0'.repeat(24), '2000-01-01'])).toString('base64url');
    expect(await report(alice, `${query}&cursor=${cursor}&limit=100`, '/api/usage/report/own')).toEqual(own);
    for (const path of [`/api/usage/report/own?userId=${bob.userId}`, `/api/usage/records?userId=${bob.userId}`])
      expect((await service.call('GET', path, { token: alice.token })).status).toBe(400);
    for (const path of ['report', `report?userId=${alice.userId}`, 'records/all', `records/${bob.userId}`])
      expect((await service.call('GET', `/api/usage/${path}`, { token: alice.token })).status).toBe(403);
  });

  it('a supervisor one user at a time, an administrator everybody', async () => {
    const [alice] = users as [User];
    const everybody = await service.call('GET', '/api/usage/report?groupBy=user', { token: supervisor.token });
    expect({ status: everybody.status, code: everybody.body.code }).toEqual({ status: 403, code: 'forbidden' });
    const one = await report(supervisor, `groupBy=user&startDate=${daysAgo(DAYS)}&userId=${alice.userId}`);
    expect(one.map(({ userId }) => userId)).toEqual([alice.userId]);
    expect((await service.call('GET', '/api/usage/records/all', { token: supervisor.token })).status).toBe(403);
    expect((await service.call('GET', `/api/usage/records/${alice.userId}`, { token: supervisor.token })).status).toBe(
      200,
    );
    expect((await report(admin, `groupBy=user&startDate=${daysAgo(DAYS)}`)).length).toBe(users.length);
  });
});

describe('What a report refuses:', () => {
  const cursorOf = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  it.each([
    'groupBy=',
    'groupBy=user_id',
    'groupBy=day;DROP TABLE usage_logs',
    "groupBy=day' OR '1'='1",
    'groupBy=day,day',
    'groupBy=user,day,model,service',
    'groupBy=day&groupBy=user',
    'groupBy[]=day',
    'groupBy=toString',
    'limit=0',
    'limit=101',
    'limit=1;2',
    'order=credits',
    'userId=everybody',
    'userId[$ne]=x',
    'model=',
    'model=%00',
    'service=a&service=b',
    'format=xml',
    'startDate=yesterday',
    'cursor=x',
    'cursor=',
  ])('%s', (query) => expectRefused(query));

  it.each<[string, unknown]>([
    ['of another grouping', ['user', 'a']],
    ['with a day that is none', ['day', '2026-13-45']],
    ['with SQL in it', ['day', "2026-01-01'::date) OR ((1"]],
    ['with more in it', ['day', '2026-01-01', 'more']],
    ['with an object in it', ['day', { $gt: '' }]],
    ['with a NUL', ['model', 'a\0']],
    ['that is too long', ['model', 'x'.repeat(1001)]],
    ['that is far too long', ['model', 'x'.repeat(5000)]],
  ])('a cursor %s', (_what, position) =>
    expectRefused(`groupBy=${String(Object(position)[0]).replace('user', 'day')}&cursor=${cursorOf(position)}`),
  );

  async function expectRefused(query: string): Promise<void> {
    const answer = await service.call('GET', `/api/usage/report?${query}`, { token: admin.token });
    expect({ status: answer.status, code: answer.body.code }).toEqual({ status: 400, code: 'validation_failed' });
  }

  it('but a name in a filter is only ever a name', async () => {
    for (const name of ["' OR 1=1 --", '%', '_', '$1', '\\', "model-a' UNION SELECT 1"])
      expect(await report(admin, `groupBy=model&model=${encodeURIComponent(name)}`)).toEqual([]);
  });
});
