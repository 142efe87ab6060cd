import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createChores } from '../../src/store/chores.ts';
import { openPostgres, type Postgres } from '../../src/store/postgres.ts';
import { Accounting } from '../harness/accounting.ts';

const SECONDS_PER_HOUR = 3600;

let accounting: Accounting;
let postgres: Postgres;
beforeAll(async () => {
  accounting = await Accounting.start({ SWEEP_INTERVAL: '10m' });
  const url = accounting.env['DATABASE_URL'] ?? '';
  const { isPooled } = accounting;
  postgres = openPostgres({ url, poolSize: 2, acquireMs: 10_000, isPooled, onFault: () => undefined });
});
afterAll(async () => {
  await postgres.close();
  await accounting.stop();
});

it('counts open holds within and beyond their lease, and says how late the sweep is', async () => {
  const { openHolds } = createChores(postgres);
  expect(await openHolds()).toEqual({ active: 0, overdue: 0, oldestSeconds: 0, overdueSeconds: 0 });
  const alice = await accounting.user({ credits: 100 });
  await accounting.held(alice, 1);
  await accounting.advanceClock(50 / SECONDS_PER_HOUR);
  const second = await accounting.held(alice, 1);
  const young = await openHolds();
  expect(young).toMatchObject({ active: 2, overdue: 0, overdueSeconds: 0 });
  expect(young.oldestSeconds).toBeGreaterThanOrEqual(50);
  await accounting.advanceClock(40 / SECONDS_PER_HOUR);
  const late = await openHolds();
  expect(late).toMatchObject({ active: 1, overdue: 1 });
  expect(late.overdueSeconds).toBeGreaterThanOrEqual(30);
  expect(late.overdueSeconds).toBeLessThan(late.oldestSeconds);
  await accounting.void(alice, second);
  expect(await openHolds()).toMatchObject({ active: 0, overdue: 1 });
});

it('shows how many connections there are, and what waits for one', async () => {
  const gate = Promise.withResolvers<void>();
  const working = [1, 2, 3].map(() => postgres.transaction(() => gate.promise));
  while (postgres.pools()[0]?.waiting !== 1) await new Promise((resolve) => setImmediate(resolve));
  expect(postgres.pools()[0]).toMatchObject({ pool: 'ledger', open: 2, free: 0, waiting: 1 });
  gate.resolve();
  await Promise.all(working);
  expect(postgres.pools()[0]).toMatchObject({ open: 2, free: 2, waiting: 0 });
});
