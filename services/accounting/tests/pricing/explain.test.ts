import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { accounting as contract, type Units } from '@tollgate/contracts';
import type { Explanation } from '../../src/domain/transaction-record.ts';
import { Accounting, type User } from '../harness/accounting.ts';

let accounting: Accounting;
let admin: User;
const RULE = {
  upstream: 'openai',
  model: 'explained',
  mode: 'flat_plus_metered',
  unitPrices: { request: 250_000, input: 300, cache_read: 30, output: 1200, reasoning: 1200 },
  tiers: [
    {
      aboveInputUnits: 1000,
      unitPrices: { request: 250_000, input: 600, cache_read: 60, output: 2400, reasoning: 2400 },
    },
  ],
  markupNumerator: 4,
  markupDenominator: 3,
};
const EXPLAINED = { resource: { upstream: RULE.upstream, model: RULE.model } };
beforeAll(async () => {
  accounting = await Accounting.start();
  admin = await accounting.user({ role: 'admin' });
  accounting.expect(201, await accounting.call('POST', '/api/pricing', { token: admin.token, body: RULE }));
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

type Line = { id: number; type: string };
const ledgerOf = async (user: User, service = accounting): Promise<Line[]> =>
  (await service.call('GET', '/api/credits/transactions?limit=100', { token: user.token })).body[
    'transactions'
  ] as Line[];
const ask = (user: User, id: unknown, service = accounting) =>
  service.call('GET', `/api/credits/transactions/${id}/explain`, { token: user.token });
/** The newest transaction of a type. */
async function explained(user: User, type: string, service = accounting): Promise<Explanation> {
  const line = (await ledgerOf(user, service)).find((candidate) => candidate.type === type);
  return service.expect(200, await ask(user, line?.id, service)).body as unknown as Explanation;
}
const settle = (user: User, holdId: unknown, units: Units) =>
  accounting.proxy('POST', `/api/holds/${holdId}/settle`, user, {
    body: { outcome: 'completed', units, usageSource: 'provider' },
  });
const heldFor = async (user: User, units: Units): Promise<string> =>
  String(accounting.expect(201, await accounting.hold(user, units, EXPLAINED)).body['holdId']);

const UNITS = { request: 1, input: 1000, cache_read: 500, output: 100, reasoning: 7 };
/** Two lots, of which the first pays all but the last credits. */
async function payer() {
  const user = await accounting.user();
  const first = await accounting.grant(user, { credits: 2, days: 5 });
  const second = await accounting.grant(user, { credits: 100, source: 'topup' });
  return { user, first, second };
}

describe('a charge explains', () => {
  it('each class, the tier, the mode, the markup and the one rounding, and who paid', async () => {
    const { user, first, second } = await payer();
    await settle(user, await heldFor(user, { ...UNITS, output: 1000 }), UNITS);
    const { price, payment, matches, faults, corrects, correctedBy } = await explained(user, 'settle');
    expect([matches, faults, corrects, correctedBy]).toEqual([true, [], null, []]);
    expect(price).toMatchObject({
      basis: 'used',
      units: UNITS,
      usageSource: 'provider',
      rule: { ...RULE, version: 1, createdBy: `admin:${admin.userId}` },
      inputUnits: 1500,
      tierAboveInputUnits: 1000,
      parts: [
        { unit: 'request', units: 1, unitPrice: 250_000, microCredits: '250000' },
        { unit: 'input', units: 1000, unitPrice: 600, microCredits: '600000' },
        { unit: 'cache_read', units: 500, unitPrice: 60, microCredits: '30000' },
        { unit: 'output', units: 100, unitPrice: 2400, microCredits: '240000' },
        { unit: 'reasoning', units: 7, unitPrice: 2400, microCredits: '16800' },
      ],
      flatMicroCredits: '250000',
      meteredMicroCredits: '886800',
      countedMicroCredits: '1136800',
      exactNumerator: '4547200',
      markupDenominator: 3,
      roundingMicroCredits: '484266.666666',
      bookedRoundingMicroCredits: '484266.666666',
      credits: 2,
      bookedCredits: 2,
    });
    expect(payment).toEqual({
      heldCredits: 5,
      chargedCredits: 2,
      fromHoldCredits: 2,
      overrunCredits: 0,
      debtCredits: 0,
      writtenOffCredits: 0,
      refundedCredits: 0,
      releasedCredits: 3,
      lapsedCredits: 0,
      lots: [
        { allocationId: first, source: 'admin', heldCredits: 2, paidCredits: 2 },
        { allocationId: second, source: 'topup', heldCredits: 3, paidCredits: 0 },
      ],
    });
  });

  it('what a hold reserves, also after its extension', async () => {
    const { user } = await payer();
    const holdId = await heldFor(user, { request: 1, input: 1000, output: 100 });
    expect(await explained(user, 'hold')).toMatchObject({
      matches: true,
      price: { basis: 'reserved', credits: 1, bookedCredits: 1, bookedRoundingMicroCredits: null },
      payment: { heldCredits: 1, chargedCredits: 0 },
    });
    const body = { fence: 1, units: { request: 1, input: 500, output: 5000 } };
    accounting.expect(200, await accounting.proxy('POST', `/api/holds/${holdId}/extend`, user, { body }));
    for (const type of ['hold', 'extend'])
      expect(await explained(user, type)).toMatchObject({ matches: true, price: { units: body.units, credits: 9 } });
  });

  it('what went beyond the hold: from the balance, and written off', async () => {
    const user = await accounting.user({ credits: 10 });
    await settle(user, await heldFor(user, { output: 1000 }), { output: 8000 });
    expect(await explained(user, 'settle')).toMatchObject({
      matches: true,
      price: { credits: 13, bookedCredits: 13 },
      payment: { chargedCredits: 13, fromHoldCredits: 2, overrunCredits: 8, writtenOffCredits: 3, debtCredits: 0 },
    });
  });

  it('what is owed, and what a grant repaid of it', async () => {
    const indebted = await Accounting.start({ OVERRUN_POLICY: 'debt' });
    try {
      const user = await indebted.user({ credits: 10 });
      await indebted.settle(user, await indebted.held(user, 10), 14);
      expect(await explained(user, 'settle', indebted)).toMatchObject({
        matches: true,
        payment: { chargedCredits: 14, fromHoldCredits: 10, overrunCredits: 0, debtCredits: 4, writtenOffCredits: 0 },
      });
      await indebted.grant(user, { credits: 50 });
      expect(await explained(user, 'grant', indebted)).toMatchObject({
        matches: true,
        lot: { grantedCredits: 50, remainingCredits: 46, consumedCredits: 4, repaidDebtCredits: 4 },
      });
    } finally {
      await indebted.stop();
    }
  });

  it('a deduction without any price, and what was voided', async () => {
    const { user } = await payer();
    await accounting.call('POST', '/api/credits/deduct', { token: user.token, body: { credits: 5, reason: 'lunch' } });
    expect(await explained(user, 'settle')).toMatchObject({
      matches: true,
      transaction: { reason: 'lunch', actor: `enduser:${user.userId}` },
      price: {
        rule: null,
        units: { request: 5 },
        credits: 5,
        bookedCredits: 5,
        bookedRoundingMicroCredits: '0.000000',
      },
      payment: { chargedCredits: 5, heldCredits: 5 },
    });
    await accounting.void(user, await heldFor(user, UNITS));
    expect(await explained(user, 'void')).toMatchObject({
      matches: true,
      price: { units: {}, credits: 0, roundingMicroCredits: '0.000000', bookedRoundingMicroCredits: '0.000000' },
      payment: { heldCredits: 2, chargedCredits: 0, releasedCredits: 2 },
    });
  });

  it('a free answer at a balance of 0 by no transaction at all', async () => {
    const user = await accounting.user();
    const resource = { upstream: 'openai', model: 'free' };
    const { body } = accounting.expect(201, await accounting.hold(user, { output: 5 }, { resource }));
    accounting.expect(200, await settle(user, body['holdId'], { output: 5 }));
    expect(await ledgerOf(user)).toEqual([]);
    expect(
      await accounting.number(
        'SELECT count(*) AS value FROM usage_logs WHERE hold_id = $1 AND credits = 0 AND rounding_micro = 0',
        [body['holdId']],
      ),
    ).toBe(1);
  });
});

describe('a correction explains', () => {
  /** A hold that its lease ended with a checkpoint, and then its own settlement. */
  async function lateAfter(checkpoint: Units, late: Units) {
    const { user, first } = await payer();
    const holdId = await heldFor(user, { request: 1, output: 5000 });
    accounting.expect(200, await accounting.renew(user, holdId, { checkpoint }));
    await accounting.advanceClock(1);
    await accounting.flows.sweepHolds();
    accounting.expect(200, await settle(user, holdId, late));
    return { user, first };
  }

  it('a charge that came late, together with the one it corrects', async () => {
    const { user } = await lateAfter({ request: 1, output: 1000 }, { request: 1, output: 8000 });
    const closing = await explained(user, 'settle');
    const correction = await explained(user, 'late_settle');
    expect(closing).toMatchObject({
      matches: true,
      price: { usageSource: 'checkpoint', units: { output: 1000 }, credits: 2, bookedCredits: 2 },
      correctedBy: [correction.transaction.id],
    });
    expect(correction).toMatchObject({
      matches: true,
      corrects: closing.transaction.id,
      price: {
        units: { output: 8000 },
        credits: 14,
        bookedCredits: 14,
        roundingMicroCredits: '866666.666666',
        bookedRoundingMicroCredits: '866666.666666',
      },
      payment: { chargedCredits: 12, overrunCredits: 12, fromHoldCredits: 0 },
    });
  });

  it('a refund, and where it went', async () => {
    const { user, first } = await lateAfter({ request: 1, output: 4000 }, { request: 1, output: 100 });
    const correction = await explained(user, 'refund');
    expect(correction).toMatchObject({
      matches: true,
      corrects: (await explained(user, 'settle')).transaction.id,
      price: { credits: 1, bookedCredits: 1 },
      payment: { chargedCredits: -6, refundedCredits: 6, overrunCredits: 0 },
    });
    expect(correction.payment?.lots).toContainEqual(expect.objectContaining({ allocationId: first, paidCredits: 1 }));
  });
});

describe('what people and the clock do', () => {
  it('explains its lot, its actor and its reason', async () => {
    const user = await accounting.user();
    const call = (method: string, path: string, body: object) =>
      accounting.call(method, `/api/credits/${path}`, { token: admin.token, body });
    const actor = `admin:${admin.userId}`;
    const { body } = await call('POST', 'allocate', { userId: user.userId, credits: 30, expiryDays: 1, notes: 'hi' });
    expect(await explained(user, 'grant')).toMatchObject({
      matches: true,
      transaction: { actor, reason: 'hi', availableChange: 30 },
      lot: { allocationId: body['id'], source: 'admin', grantedCredits: 30, allocatedBy: actor, notes: 'hi' },
      payment: null,
      price: null,
    });
    for (const [adjustment, lot] of [
      [5, { source: 'adjustment', grantedCredits: 5, allocatedBy: actor }],
      [-3, null],
    ] as const) {
      await call('PUT', 'adjust', { userId: user.userId, adjustment, notes: 'because' });
      const explanation = await explained(user, 'adjustment');
      expect(explanation).toMatchObject({ matches: true, transaction: { actor, reason: 'because' }, lot });
    }
    const revoked = await accounting.grant(user, { credits: 8 });
    await call('DELETE', `allocations/${revoked}`, {});
    expect(await explained(user, 'revoke')).toMatchObject({
      matches: true,
      transaction: { actor, availableChange: -8 },
      lot: { allocationId: revoked, revokedCredits: 8 },
    });
    await accounting.advanceClock(30);
    await accounting.flows.expireCredits();
    expect(await explained(user, 'expire')).toMatchObject({
      matches: true,
      transaction: { actor: 'system', availableChange: -27 },
      lot: { allocationId: body['id'], expiredCredits: 27, revokedCredits: 3 },
    });
  });
});

describe('an explanation', () => {
  it('is given of every transaction of every type, and each of them is what was booked', async () => {
    const { rows } = await accounting.db.query<{ id: string; type: string }>(
      'SELECT id, type FROM credit_transactions ORDER BY id',
    );
    expect([...new Set(rows.map(({ type }) => type))].sort()).toEqual([...contract.TRANSACTION_TYPES].sort());
    for (const { id, type } of rows) {
      const { body } = accounting.expect(200, await ask(admin, id));
      expect({ id, type, faults: body['faults'] }).toEqual({ id, type, faults: [] });
    }
  });

  it('is for the owner and for staff; to anybody else the transaction is not there', async () => {
    const alice = await accounting.user({ credits: 5 });
    const [grant] = await ledgerOf(alice);
    const supervisor = await accounting.user({ role: 'supervisor' });
    for (const reader of [alice, supervisor, admin])
      expect(await ask(reader, grant?.id)).toMatchObject({ status: 200, body: { userId: alice.userId } });
    expect(await ask(await accounting.user(), grant?.id)).toMatchObject({ status: 404 });
    expect(await ask(admin, 999_999_999)).toMatchObject({ status: 404 });
    for (const id of ['0', '-1', 'x', '1.5', '9007199254740993'])
      expect(await ask(admin, id)).toMatchObject({ status: 400 });
  });
});
