import { afterEach, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Accounting, type User } from '../harness/accounting.ts';
import { dispute, type Order, order, paidIntent, PAYMENTS, refundedCharge, stripe } from './webhooks.ts';

let accounting: Accounting;
let admin: User;
afterEach(() => accounting.stop());

const KINDS = [
  'pay',
  'refund part',
  'refund all',
  'dispute',
  'spend',
  'overrun',
  'hold',
  'close',
  'refund',
  'grant',
  'adjust',
  'revoke',
];
const dice = fc.record({
  kind: fc.constantFrom(...KINDS),
  credits: fc.integer({ min: 1, max: 90 }),
  pick: fc.nat({ max: 1000 }),
});
type Die = { kind: string; credits: number; pick: number };
/** An order of 100 credits for 100 cents, the holds that were opened on it, and those still open. */
type World = { bought: Order; holds: string[]; open: string[] };

async function step({ bought, holds, open }: World, { kind, credits, pick }: Die): Promise<number> {
  const { alice } = bought;
  const by = (method: string, path: string, body: object) =>
    accounting.call(method, `/api/credits/${path}`, { token: admin.token, body });
  const spend = async (more: number) => {
    const held = await accounting.hold(alice, { output: credits });
    if (held.status !== 201) return held;
    holds.push(String(held.body['holdId']));
    return accounting.settle(alice, held.body['holdId'], credits + more);
  };
  const steps: Record<string, () => Promise<{ status: number }>> = {
    pay: () => stripe(accounting, 'payment_intent.succeeded', paidIntent(bought)),
    'refund part': () => stripe(accounting, 'charge.refunded', refundedCharge(bought, credits)),
    'refund all': () => stripe(accounting, 'charge.refunded', refundedCharge(bought)),
    dispute: () => stripe(accounting, 'charge.dispute.created', dispute(bought)),
    spend: () => spend(0),
    overrun: () => spend(pick % 40),
    hold: async () => {
      const held = await accounting.hold(alice, { output: credits });
      if (held.status === 201) open.push(String(held.body['holdId']));
      return held;
    },
    close: async () => {
      const holdId = open.shift();
      if (holdId === undefined) return { status: 404 };
      holds.push(holdId);
      return pick % 3 === 0 ? accounting.void(alice, holdId) : accounting.settle(alice, holdId, pick % credits);
    },
    refund: () => by('POST', 'refunds', { holdId: holds[pick % Math.max(1, holds.length)], credits, reason: 'model' }),
    grant: () => by('POST', 'allocate', { userId: alice.userId, credits, expiryDays: 1 + (pick % 2) }),
    adjust: () =>
      by('PUT', 'adjust', { userId: alice.userId, adjustment: pick % 2 ? credits : -credits, notes: 'model' }),
    revoke: async () => {
      const { rows } = await accounting.db.query<{ id: string }>(
        'SELECT id FROM credit_allocations WHERE user_id = $1 ORDER BY id',
        [alice.userId],
      );
      return by('DELETE', `allocations/${rows[pick % rows.length]?.id ?? 1}`, {});
    },
  };
  return (await steps[kind]?.())?.status ?? 0;
}

/** Orders that say something else of what nobody pays for them than the ledger. */
const otherwiseWrittenOff = async () =>
  (
    await accounting.db.query(
      `SELECT o.id, o.written_off_credits, -sum(e.amount) AS entries FROM topup_orders o
       LEFT JOIN credit_transactions t ON t.allocation_id = o.allocation_id AND t.type = 'revoke'
       LEFT JOIN credit_entries e ON e.transaction_id = t.id AND e.account = 'writeoff'
       GROUP BY o.id HAVING o.written_off_credits <> coalesce(-sum(e.amount), 0)`,
    )
  ).rows;

const STORY = 'keeps the books right whatever payments, chargebacks, refunds and spending do to three users at once';
it.each(['debt', 'absorb'])(
  `${STORY}, under the policy %s`,
  async (policy) => {
    accounting = await Accounting.start({ ...PAYMENTS, OVERRUN_POLICY: policy, WELCOME_CREDITS: '20' });
    admin = await accounting.user({ role: 'admin' });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(dice, { minLength: 8, maxLength: 20 }), { minLength: 4, maxLength: 4 }),
        async (workers) => {
          const worlds: World[] = [];
          for (const _ of [1, 2, 3]) worlds.push({ bought: await order(accounting, 100), holds: [], open: [] });
          const statuses = await Promise.all(
            workers.map(async (dicePerWorker, worker) => {
              const seen: number[] = [];
              for (const [n, die] of dicePerWorker.entries()) {
                const world = worlds[(worker + n) % worlds.length];
                if (world) seen.push(await step(world, die));
              }
              return seen;
            }),
          );
          expect(statuses.flat().filter((status) => ![200, 201, 400, 402, 404, 409, 422].includes(status))).toEqual([]);
          expect(await accounting.faults()).toEqual([]);
          // Two days later the lots of the grants have lapsed, those that are refunded to among them.
          await accounting.advanceClock(49);
          for (const world of worlds) await step(world, { kind: 'refund', credits: 5, pick: 0 });
          await accounting.flows.expireCredits();
          expect(await accounting.faults()).toEqual([]);
          expect(await otherwiseWrittenOff()).toEqual([]);
        },
      ),
      { numRuns: 6, endOnFailure: true },
    );
  },
  120_000,
);
