import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';
import type { Answer } from '../harness/http.ts';

let accounting: Accounting;
beforeAll(async () => {
  // No hold expires before the last of them is made, on any machine.
  accounting = await Accounting.start({ HOLD_LEASE: '1h' });
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const CALLS = 10_000;
const CALLERS = 200;
const MOST_TRIES = 50;

/** As a proxy does: the same hold under the same key again, when the service said that it could not answer in time. */
async function heldAtLast(user: User, url: string): Promise<Answer> {
  const again = { holdId: randomUUID(), key: randomUUID(), url };
  for (let attempt = 1; ; attempt += 1) {
    const answer = await accounting.hold(user, { output: 1 }, again);
    if (answer.status !== 503 || attempt === MOST_TRIES) return answer;
  }
}

/** Every snapshot in which what alice has and has held is not what she was given, until `until` ends. */
async function brokenSnapshots({ userId }: User, given: number, until: Promise<unknown>): Promise<unknown[]> {
  let isRunning = true;
  void until.finally(() => {
    isRunning = false;
  });
  const broken: unknown[] = [];
  while (isRunning) {
    const { rows } = await accounting.db.query(
      `SELECT a.total_credits, a.held_credits FROM user_accounts a JOIN credit_allocations l ON l.user_id = a.id
       WHERE a.id = $1 GROUP BY a.id
       HAVING sum(l.remaining_credits) <> a.total_credits OR sum(l.held_credits) <> a.held_credits
           OR a.total_credits + a.held_credits <> $2 OR a.total_credits < 0
           OR a.held_credits <> (SELECT coalesce(sum(held_credits), 0) FROM streaming_sessions WHERE payer_id = $1)`,
      [userId, given],
    );
    broken.push(...rows);
  }
  return broken;
}

it('lets exactly 5,000 of 10,000 holds of 1 through on a balance of 5,000, over three processes, and no reader sees broken books', async () => {
  const alice = await accounting.user({ credits: CALLS / 2 });
  const urls = await Promise.all([1, 2, 3].map(() => accounting.process()));
  const counts = new Map<string, number>();
  let next = 0;
  const caller = async () => {
    for (let n = next++; n < CALLS; n = next++) {
      const { status, body } = await heldAtLast(alice, String(urls[n % urls.length]));
      const said = `${status} ${body.code ?? 'held'}`;
      counts.set(said, (counts.get(said) ?? 0) + 1);
    }
  };
  const start = performance.now();
  const calls = Promise.all(Array.from({ length: CALLERS }, caller));
  const broken = await brokenSnapshots(alice, CALLS / 2, calls);
  await calls;
  process.stdout.write(`10,000 holds over three processes: ${Math.round(performance.now() - start)} ms\n`);
  expect(broken).toEqual([]);
  expect(Object.fromEntries(counts)).toEqual({ '201 held': CALLS / 2, '402 insufficient_credits': CALLS / 2 });
  expect(await accounting.balance(alice)).toEqual({ available: 0, held: CALLS / 2 });
}, 180_000);

it('has one winner in each of 100 rounds of settle, settle, void and expiry on one hold from three instances', async () => {
  const alice = await accounting.user({ credits: 1000 });
  const [second, third] = await Promise.all([accounting.another(), accounting.another()]);
  const winners: Record<string, number> = {};
  for (let round = 0; round < 100; round += 1) {
    const holdId = await accounting.held(alice, 5);
    // Its lease is over: the sweepers may take it too.
    await accounting.db.query(
      "UPDATE streaming_sessions SET lease_expires_at = ledger_now() - interval '1 s' WHERE id = $1",
      [holdId],
    );
    const before = await accounting.revenueOf(alice);
    await Promise.all([
      accounting.settle(alice, holdId, 3),
      accounting.settle(alice, holdId, 4, { url: second.url }),
      accounting.void(alice, holdId, { url: third.url }),
      second.deps.flows.sweepHolds(),
      third.deps.flows.sweepHolds(),
    ]);
    const { rows } = await accounting.db.query<{ status: string; charged: number; closings: number }>(
      `SELECT h.status, h.charged_credits::int AS charged,
              (SELECT count(*)::int FROM credit_transactions t WHERE t.hold_id = h.id AND t.type IN ('settle', 'void')) AS closings
       FROM streaming_sessions h WHERE h.id = $1`,
      [holdId],
    );
    const { status = '', charged = -1, closings } = rows[0] ?? {};
    winners[status] = (winners[status] ?? 0) + 1;
    expect(closings).toBe(1);
    // A settlement that comes after the sweeper is booked once, by whichever of the two came first.
    expect({ settled: [3, 4], voided: [0], expired: [0, 3, 4] }[status]).toContain(charged);
    expect(await accounting.revenueOf(alice)).toBe(before + charged);
    expect((await accounting.balance(alice)).held).toBe(0);
  }
  expect(Object.values(winners).reduce((sum, count) => sum + count)).toBe(100);
  expect(Object.keys(winners).length).toBeGreaterThan(1);
}, 120_000);
