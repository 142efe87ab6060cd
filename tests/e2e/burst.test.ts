import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type Platform, startPlatform } from '@tollgate/test-kit';

let platform: Platform;
beforeAll(async () => {
  // A machine that is slow with a thousand is to be waited for: what is counted here is credits. Leases outlast the waiting, so
  // that nobody buries a hold that is still on its way.
  platform = await startPlatform({
    chatProxy: { MONGO_OPERATION_TIMEOUT: '60s', ACCOUNTING_TIMEOUT: '60s', JOURNAL_LEASE: '120s' },
    accounting: { DB_ACQUIRE_TIMEOUT: '30s', HOLD_LEASE: '120s' },
  });
}, 120_000);
afterAll(() => platform.stop());

it('lets exactly 500 of 1,000 simultaneous 1-credit chats through on a balance of 500', async () => {
  const erin = await platform.user({ credits: 500 });
  const callsBefore = platform.flowise.calls();
  const chats = Array.from({ length: 1000 }, async (_, index) => {
    const call = await erin.chat({ question: `Question ${index}`, chatflow_id: platform.chatflows.chain });
    await call.toEnd();
    return call;
  });
  const calls = await Promise.all(chats);
  const ends = Object.groupBy(calls, ({ problem, events }) => problem?.detail ?? JSON.stringify(events.at(-1)));
  expect(Object.fromEntries(Object.entries(ends).map(([end, these]) => [end, these?.length]))).toEqual({
    '{"event":"end","data":"[DONE]"}': 500,
    'Insufficient credits': 500,
  });
  expect(platform.flowise.calls() - callsBefore).toBe(500);
  const { terminalHolds, ...books } = await platform.books.ofUser(erin.userId);
  expect(books).toEqual({ available: 0, held: 0, openHolds: 0, charged: 500 });
  const holds = await platform.books.query<{ status: string; count: string; held: string }>(
    `SELECT status, count(*) AS count, sum(held_credits) AS held FROM streaming_sessions WHERE user_id = $1 GROUP BY status
     ORDER BY status`,
    [erin.userId],
  );
  // A refusal that a repetition was answered with proves nothing: such a hold is closed in advance, a row and no credit.
  const ofNothing = { status: 'voided', count: String(terminalHolds - 500), held: '0' };
  expect(holds).toMatchObject([{ status: 'settled', count: '500' }, ...(terminalHolds > 500 ? [ofNothing] : [])]);
  expect(await platform.books.sumOfAllEntries()).toBe(0);
}, 120_000);
