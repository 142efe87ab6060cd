import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { chargeFor, type Price, UNIT_CLASSES, type UnitClass, type Units } from '@tollgate/contracts';
import fc from 'fast-check';
import { chargeLine } from '../../src/domain/charge-line.ts';
import { Accounting, type User } from '../harness/accounting.ts';

const amount = (max: number) => fc.integer({ min: 0, max });
const units = fc.dictionary(fc.constantFrom(...UNIT_CLASSES), amount(2 ** 31 - 1)) as fc.Arbitrary<Units>;
const price: fc.Arbitrary<Price> = fc.record({
  ruleId: fc.constant(randomUUID()),
  version: fc.constant(1),
  mode: fc.constantFrom('flat', 'metered', 'flat_plus_metered', 'max'),
  unitPrices: fc.dictionary(fc.constantFrom(...UNIT_CLASSES), amount(1_000_000_000)) as fc.Arbitrary<
    Partial<Record<UnitClass, number>>
  >,
  markupNumerator: fc.integer({ min: 1, max: 1_000_000 }),
  markupDenominator: fc.integer({ min: 1, max: 1_000_000 }),
  free: fc.boolean(),
});

describe('the charge line', () => {
  it('is the charge, for every price and all units', () => {
    fc.assert(
      fc.property(price, units, (anyPrice, anyUnits) => {
        const { flat, base, slope, divisor } = chargeLine(anyPrice, anyUnits);
        const line = base + BigInt(anyUnits.output ?? 0) * slope;
        const micro = flat > line ? flat : line;
        expect(Number((micro + divisor - 1n) / divisor)).toBe(chargeFor(anyPrice, anyUnits));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the books', () => {
  let accounting: Accounting;
  beforeAll(async () => {
    accounting = await Accounting.start({ OVERRUN_POLICY: 'debt' });
  });
  afterAll(() => accounting.stop());

  const dice = fc.record({
    kind: fc.constantFrom(
      'grant',
      'hold',
      'hold',
      'extend',
      'settle',
      'settle',
      'void',
      'renew',
      'deduct',
      'adjust',
      'revoke',
    ),
    credits: fc.integer({ min: 1, max: 120 }),
    pick: fc.nat(),
  });
  type Die = { kind: string; credits: number; pick: number };

  /** One step of a worker; whatever the answer is, the books must be right afterwards. */
  async function step(user: User, admin: User, holds: string[], { kind, credits, pick }: Die): Promise<number> {
    const holdId = holds[pick % Math.max(1, holds.length)] ?? randomUUID();
    const as = (method: string, path: string, body: object, token: string) =>
      accounting.call(method, `/api/credits/${path}`, { token, body });
    const steps: Record<string, () => Promise<{ status: number }>> = {
      grant: () => as('POST', 'allocate', { userId: user.userId, credits, expiryDays: 1 + (pick % 3) }, admin.token),
      hold: async () => {
        const answer = await accounting.hold(user, { output: credits }, pick % 2 ? { minOutput: 5 } : {});
        if (answer.status === 201) holds.push(String(answer.body['holdId']));
        return answer;
      },
      extend: () =>
        accounting.proxy('POST', `/api/holds/${holdId}/extend`, user, {
          body: { fence: 1, units: { output: credits }, ...(pick % 2 && { minOutput: 5 }) },
        }),
      settle: () => accounting.settle(user, holdId, credits),
      void: () => accounting.void(user, holdId),
      renew: () => accounting.renew(user, holdId, { checkpoint: { output: credits % 20 } }),
      deduct: () => as('POST', 'deduct', { credits }, user.token),
      adjust: () =>
        as(
          'PUT',
          'adjust',
          { userId: user.userId, adjustment: pick % 2 ? credits : -credits, notes: 'model' },
          admin.token,
        ),
      revoke: async () => {
        const lots = await accounting.db.query<{ id: string }>(
          'SELECT id FROM credit_allocations WHERE user_id = $1 ORDER BY id',
          [user.userId],
        );
        const id = lots.rows[pick % Math.max(1, lots.rows.length)]?.id ?? 1;
        return as('DELETE', `allocations/${id}`, {}, admin.token);
      },
    };
    const { status } = (await steps[kind]?.()) ?? { status: 0 };
    return status;
  }

  it('keep I1-I9 whatever four workers do to three users at once, with the clock moving on', async () => {
    const admin = await accounting.user({ role: 'admin' });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(dice, { minLength: 10, maxLength: 25 }), { minLength: 4, maxLength: 4 }),
        async (workers) => {
          const users = await Promise.all([1, 2, 3].map(() => accounting.user({ credits: 200 })));
          const holds: string[][] = users.map(() => []);
          const statuses = await Promise.all(
            workers.map(async (dicePerWorker, worker) => {
              const seen: number[] = [];
              for (const [n, die] of dicePerWorker.entries()) {
                const who = (worker + n) % users.length;
                const user = users[who];
                if (user) seen.push(await step(user, admin, holds[who] ?? [], die));
              }
              return seen;
            }),
          );
          expect(statuses.flat().filter((status) => ![200, 201, 400, 402, 404, 409, 422].includes(status))).toEqual([]);
          expect(await accounting.faults()).toEqual([]);
          // A day later every lease is over and some lots have lapsed, held ones among them.
          await accounting.advanceClock(25);
          await accounting.flows.sweepHolds();
          await accounting.flows.expireCredits();
          expect(await accounting.faults()).toEqual([]);
          expect(
            await accounting.number("SELECT count(*) AS value FROM streaming_sessions WHERE status = 'active'"),
          ).toBe(0);
          expect(await accounting.number('SELECT coalesce(sum(amount), 0) AS value FROM credit_entries')).toBe(0);
        },
      ),
      { numRuns: 8, endOnFailure: true },
    );
  }, 120_000);
});
