import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';
import { daysAgo, insertUsage, sumUp, usageRow } from './usage-rows.ts';

let service: Accounting;
let alice: User;
beforeAll(async () => {
  service = await Accounting.start();
  alice = await service.user();
});
afterAll(() => service.stop());

const noon = (days: number) => `${daysAgo(days)}T12:00:00Z`;
const nextDay = async () =>
  (await service.db.query<{ day: string | null }>('SELECT next_day::text AS day FROM usage_rollup')).rows[0]?.day;
const total = async () =>
  (await service.call('GET', `/api/usage/report/own?startDate=${daysAgo(20)}&groupBy=user`, { token: alice.token }))
    .body['rows'];

describe('Summing usage by day', () => {
  it('has nothing to do without usage', async () => {
    expect(await service.flows.rollUpUsage()).toBe(false);
    expect(await nextDay()).toBeNull();
  });

  it('waits for a transaction that may still write to a day, and counts what it wrote', async () => {
    await insertUsage(service.db, [usageRow({ user_id: alice.userId, credits: 5, timestamp: noon(3) })]);
    await service.advanceClock(24);
    const slow = await service.db.connect();
    try {
      await slow.query('BEGIN');
      await insertUsage(slow, [usageRow({ user_id: alice.userId, credits: 7, timestamp: noon(4) })]);
      expect(await service.flows.rollUpUsage()).toBe(false);
      expect(await service.flows.rollUpUsage()).toBe(false);
      expect(await nextDay()).toBeNull();
      await slow.query('COMMIT');
    } finally {
      slow.release();
    }
    await sumUp(service);
    expect(await total()).toEqual([expect.objectContaining({ records: 2, credits: 12 })]);
    expect(await service.number('SELECT sum(credits) AS value FROM usage_daily')).toBe(12);
  });

  it('leaves a day alone until ten minutes after its end', async () => {
    await sumUp(service);
    const before = await nextDay();
    const minutesToMidnight = await service.number(
      `SELECT extract(epoch FROM date_trunc('day', ledger_now() AT TIME ZONE 'UTC' + interval '1 day') - ledger_now() AT TIME ZONE 'UTC') / 60 AS value`,
    );
    await service.advanceClock((minutesToMidnight + 5) / 60);
    await sumUp(service);
    expect(await nextDay()).toBe(before);
    await service.advanceClock(6 / 60);
    await sumUp(service);
    expect(await nextDay()).not.toBe(before);
  });

  it('is done once for each day by many at once', async () => {
    await insertUsage(service.db, [usageRow({ user_id: alice.userId, credits: 3, timestamp: noon(-3) })]);
    const others = await Promise.all([service.another(), service.another()]);
    await service.advanceClock(24 * 5);
    const everybody = [service.flows, ...others.map(({ deps }) => deps.flows)];
    await Promise.all(
      everybody.map(async (flows) => {
        while (await flows.rollUpUsage());
      }),
    );
    await sumUp(service);
    expect(await service.number('SELECT sum(credits) AS value FROM usage_daily')).toBe(15);
    expect(await service.number('SELECT sum(records) AS value FROM usage_daily_totals')).toBe(3);
    expect(await service.faults()).toEqual([]);
  });

  it('makes sums that are never edited, and that verification compares with their rows', async () => {
    await expect(service.db.query('UPDATE usage_daily SET credits = credits + 1')).rejects.toThrow('never changed');
    await expect(service.db.query('DELETE FROM usage_daily_totals')).rejects.toThrow('never changed');
    await service.db.query(
      `SET session_replication_role = replica; UPDATE usage_daily SET credits = credits + 1 WHERE day = '${daysAgo(3)}';
       SET session_replication_role = origin`,
    );
    expect(await service.faults()).toEqual([
      expect.objectContaining({ invariant: 'I6', offenders: 1, first: expect.objectContaining({ day: daysAgo(3) }) }),
    ]);
  });
});
