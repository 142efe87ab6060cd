import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';

let accounting: Accounting;
let alice: User;
let admin: User;
beforeAll(async () => {
  accounting = await Accounting.start();
  [alice, admin] = [await accounting.user({ credits: 5 }), await accounting.user({ role: 'admin' })];
});
afterAll(() => accounting.stop());

const groupCursor = (...key: string[]): string => Buffer.from(JSON.stringify(key)).toString('base64url');

// The database has no year 0: the year before 1 is 1 BC.
it.each([
  ['/api/usage/report/own?groupBy=day&startDate=0000-01-01', 200],
  ['/api/usage/report/own?groupBy=day&startDate=0000-01-01T00:00:00Z&endDate=0000-01-02', 200],
  ['/api/usage/stats?startDate=0000-01-01', 200],
  ['/api/usage/stats?endDate=0000-12-31', 200],
  ['/api/usage/records?startDate=0000-01-01', 200],
  ['/api/usage/records?endDate=0000-12-30', 200],
  ['/api/usage/records?cursor=9999999999999999.999999999999999', 200],
  [`/api/usage/report/own?groupBy=day&cursor=${groupCursor('day', '0000-01-01')}`, 400],
  [`/api/usage/report/own?groupBy=model,day&cursor=${groupCursor('model,day', 'm', '0000-01-01')}`, 400],
  [`/api/usage/report/own?groupBy=day&cursor=${groupCursor('day', '9999-12-31')}`, 200],
])('answers %s with %i', async (path, status) => {
  expect((await accounting.call('GET', path, { token: alice.token })).status).toBe(status);
});

it.each(['0000-01-01T00:00:00Z', '0000-12-31T23:59:59Z'])('refuses a lot that begins or ends at %s', async (at) => {
  const lot = { userId: alice.userId, credits: 1 };
  for (const term of [{ effectiveAt: at }, { expiresAt: at }]) {
    const body = { ...lot, ...term };
    expect((await accounting.call('POST', '/api/credits/allocate', { token: admin.token, body })).status).toBe(400);
  }
});
