import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Accounting, type User } from '../harness/accounting.ts';
import type { Answer } from '../harness/http.ts';
import { order, paidIntent, paidSession, PAYMENTS, stripe } from '../payments/webhooks.ts';

const TIMES = 100;
const AT_ONCE = 10;
const SEED = randomInt(2 ** 31);

let accounting: Accounting;
let urls: string[] = [];
beforeAll(async () => {
  process.stdout.write(`duplicates: seed ${SEED}\n`);
  accounting = await Accounting.start(PAYMENTS);
  await accounting.another();
  urls = accounting.instances.map(({ url }) => url);
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

type Delivery = (url: string) => Promise<Answer>;

/** Every delivery a hundred times, in an order of the seed, at two instances; what was told to wait comes again. */
async function deliver(deliveries: readonly Delivery[]): Promise<Answer[][]> {
  const all = deliveries.flatMap((send, at) => Array.from({ length: TIMES }, () => ({ send, at })));
  const shuffled = fc.sample(fc.shuffledSubarray(all, { minLength: all.length }), { seed: SEED, numRuns: 1 })[0] ?? [];
  const answers: Answer[][] = deliveries.map(() => []);
  for (let from = 0; from < shuffled.length; from += AT_ONCE)
    await Promise.all(
      shuffled.slice(from, from + AT_ONCE).map(async ({ send, at }, n) => {
        const url = urls[n % urls.length] ?? '';
        answers[at]?.push(await untilDone(() => send(url)));
      }),
    );
  return answers;
}

async function untilDone(send: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await send();
    if (answer.status < 500 && answer.body['code'] !== 'idempotency_in_progress') return answer;
  }
}

const kindsOf = (answers: readonly Answer[] = []): string[] => [
  ...new Set(answers.map(({ status, body }) => JSON.stringify([status, body]))),
];
const transactionsOf = (user: User) =>
  accounting.number("SELECT count(*) AS value FROM credit_transactions WHERE user_id = $1 AND type <> 'grant'", [
    user.userId,
  ]);

describe('a delivery that comes a hundred times, with others in between,', () => {
  it('of holds and their ends has one effect, and one answer for each', async () => {
    const alice = await accounting.user({ credits: 100 });
    const [settled, voided] = [await accounting.held(alice, 20), await accounting.held(alice, 30)];
    const holdId = crypto.randomUUID();
    const [holds = [], ...ends] = await deliver([
      (url) => accounting.hold(alice, { output: 10 }, { holdId, key: `hold:${holdId}`, url }),
      (url) => accounting.settle(alice, settled, 7, { key: 'settle', url }),
      (url) => accounting.void(alice, voided, { key: 'void', url }),
    ]);
    // An open hold is shown as it stands: what the payer has left beside it changes with the other two.
    const held = holds.map(({ body: { availableCredits: _, ...body }, ...answer }) => ({ ...answer, body }));
    expect([held, ...ends].map((each) => [each.length, each[0]?.status, kindsOf(each).length])).toEqual([
      [TIMES, 201, 1],
      [TIMES, 200, 1],
      [TIMES, 200, 1],
    ]);
    expect(await accounting.balance(alice)).toEqual({ available: 83, held: 10 });
    // Three holds, one settlement, one void.
    expect([await accounting.revenueOf(alice), await transactionsOf(alice)]).toEqual([7, 5]);
  });

  it('of ends without their first key finds the hold final, and moves nothing', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 20);
    const [settlements = [], voids = []] = await deliver([
      (url) => accounting.settle(alice, holdId, 7, { url }),
      (url) => accounting.void(alice, holdId, { url }),
    ]);
    const all = [...settlements, ...voids];
    const firsts = all.filter(({ body }) => body['alreadyFinal'] === false);
    expect([firsts.length, new Set(all.map(({ status }) => status))]).toEqual([1, new Set([200])]);
    // Whoever came first, everybody is told the same end.
    const told = all.map(({ body }) => `${String(body['status'])} ${String(body['chargedCredits'])}`);
    expect([...new Set(told)]).toEqual([`${String(firsts[0]?.body['status'])} ${await accounting.revenueOf(alice)}`]);
    expect(await transactionsOf(alice)).toBe(2);
  });

  it('of deductions, usage records and grants has one effect, and one answer for each', async () => {
    const alice = await accounting.user({ credits: 100 });
    const admin = await accounting.user({ role: 'admin' });
    const usage = { service: 'tools', operation: 'search', credits: 3 };
    const grant = { userId: alice.userId, credits: 11 };
    const answers = await deliver([
      (url) =>
        accounting.call(
          'POST',
          '/api/credits/deduct',
          { token: alice.token, body: { credits: 5 }, key: 'deduct' },
          url,
        ),
      (url) => accounting.proxy('POST', '/api/usage/record', alice, { body: usage, key: 'usage', url }),
      (url) => accounting.call('POST', '/api/credits/allocate', { token: admin.token, body: grant, key: 'grant' }, url),
    ]);
    expect(answers.map((each) => [each.length, kindsOf(each).length])).toEqual(answers.map(() => [TIMES, 1]));
    expect(answers.map((each) => Math.floor(Number(each[0]?.status) / 100))).toEqual([2, 2, 2]);
    expect(await accounting.balance(alice)).toEqual({ available: 106, held: 0 });
    const records = 'SELECT count(*) AS value FROM usage_logs WHERE user_id = $1 AND operation = $2';
    expect(await accounting.number(records, [alice.userId, 'search'])).toBe(1);
  });

  it('of a payment gives one lot, whichever of its events comes first', async () => {
    const bought = await order(accounting, 500);
    const { alice } = bought;
    const [intents = [], sessions = []] = await deliver([
      () => stripe(accounting, 'payment_intent.succeeded', paidIntent(bought), `evt_i_${bought.orderId}`),
      () => stripe(accounting, 'checkout.session.completed', paidSession(bought), `evt_s_${bought.orderId}`),
    ]);
    const all = [...intents, ...sessions];
    expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]));
    expect(all.filter(({ body }) => body['repeated'] !== true)).toHaveLength(2);
    expect(await accounting.balance(alice)).toEqual({ available: 500, held: 0 });
    const lots = 'SELECT count(*) AS value FROM credit_allocations WHERE user_id = $1';
    expect(await accounting.number(lots, [alice.userId])).toBe(1);
  });

  it('of a job that books the clock has one effect: a hundred sweeps of two instances close each hold once', async () => {
    const alice = await accounting.user({ credits: 100 });
    const [plain, noted] = [await accounting.held(alice, 20), await accounting.held(alice, 30)];
    await accounting.renew(alice, noted, { checkpoint: { output: 4 } });
    await accounting.advanceClock(1);
    const { instances } = accounting;
    await Promise.all(
      Array.from({ length: TIMES }, async (_, n) => instances[n % instances.length]?.deps.flows.sweepHolds()),
    );
    expect(await accounting.balance(alice)).toEqual({ available: 96, held: 0 });
    const closings = "SELECT count(*) AS value FROM credit_transactions WHERE hold_id = ANY ($1) AND type <> 'hold'";
    expect(await accounting.number(closings, [[plain, noted]])).toBe(2);
  });
});
