import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';

// Somebody with all rights on the database changes what is stored. The books of this suite are wrong on purpose.

let accounting: Accounting;
let alice: User;
beforeAll(async () => {
  accounting = await Accounting.start();
  await accounting.db.query('ALTER TABLE streaming_sessions DROP CONSTRAINT hold_adds_up');
  await accounting.db.query('ALTER TABLE credit_allocations DROP CONSTRAINT lot_adds_up');
  const admin = await accounting.user({ role: 'admin' });
  const body = { upstream: 'openai', model: 'third', unitPrices: { output: 1_000_000 }, markupDenominator: 3 };
  accounting.expect(201, await accounting.call('POST', '/api/pricing', { token: admin.token, body }));
});
afterAll(() => accounting.stop());

async function forge(statement: string, id: unknown): Promise<void> {
  const client = await accounting.db.connect();
  try {
    await client.query('BEGIN');
    await client.query('SET LOCAL session_replication_role = replica'); // no trigger fires
    await client.query(statement, [id]);
    await client.query('COMMIT');
  } finally {
    client.release();
  }
}

/** Id of the newest transaction. */
const newest = async (): Promise<unknown> =>
  (
    (await accounting.call('GET', '/api/credits/transactions?limit=1', { token: alice.token })).body[
      'transactions'
    ] as object[]
  ).map((line) => (line as { id: number }).id)[0];
const explain = async (id: unknown) =>
  accounting.expect(
    200,
    await accounting.call('GET', `/api/credits/transactions/${id}/explain`, { token: alice.token }),
  ).body;

const HOLD = 'id = (SELECT hold_id FROM credit_transactions WHERE id = $1)';
const OF_HOLD = 'hold_id = (SELECT hold_id FROM credit_transactions WHERE id = $1)';
const LOT = 'id = (SELECT allocation_id FROM credit_transactions WHERE id = $1)';

describe('an explanation does not match', () => {
  it.each([
    ['units that were used', `UPDATE usage_logs SET units = '{"output": 50}' WHERE ${OF_HOLD}`, 'price of the stored'],
    ['units by one of many', `UPDATE usage_logs SET units = '{"output": 11}' WHERE ${OF_HOLD}`, 'rounding'],
    ['units to what none can be', `UPDATE usage_logs SET units = '{"output": -5, "x": 1}' WHERE ${OF_HOLD}`, 'units'],
    ['units beyond all bounds', `UPDATE usage_logs SET units = '{"output": 1e40}' WHERE ${OF_HOLD}`, 'units'],
    ['units to the largest', `UPDATE usage_logs SET units = '{"output": 2147483647}' WHERE ${OF_HOLD}`, 'price of the'],
    ['rounding', `UPDATE usage_logs SET rounding_micro = 1 WHERE ${OF_HOLD}`, 'rounding'],
    ['usage', `UPDATE usage_logs SET credits = credits + 1 WHERE ${OF_HOLD}`, 'usage log'],
    ['row of usage', `DELETE FROM usage_logs WHERE ${OF_HOLD}`, 'usage log'],
    ['released credits', `UPDATE streaming_sessions SET released_credits = 0 WHERE ${HOLD}`, 'not what was held'],
    ['held credits', `UPDATE streaming_sessions SET held_credits = 1 WHERE ${HOLD}`, 'not what was moved to it'],
    ['price version', `UPDATE streaming_sessions SET price_rule_id = gen_random_uuid() WHERE ${HOLD}`, 'is gone'],
    ['lots', `UPDATE hold_lots SET consumed_credits = consumed_credits + 1 WHERE ${OF_HOLD}`, 'lots have not paid'],
    [
      'reserved lots',
      `UPDATE hold_lots SET held_credits = held_credits + 1 WHERE ${OF_HOLD}`,
      'lots have not reserved',
    ],
    ['revenue', "UPDATE credit_entries SET amount = 1 WHERE transaction_id = $1 AND account = 'revenue'", 'sum to 0'],
    ['released entry', 'UPDATE credit_entries SET amount = 1 WHERE transaction_id = $1 AND amount > 0', 'available'],
    // The last one: what it changes is everybody's.
    ['price', `UPDATE price_rules SET markup_denominator = 2 WHERE model = 'third' AND $1 > 0`, 'price of the stored'],
  ])('after somebody changed the %s of a charge', async (_what, forgery, fault) => {
    alice = await accounting.user({ credits: 100 });
    const resource = { upstream: 'openai', model: 'third' };
    const { body } = accounting.expect(201, await accounting.hold(alice, { output: 20 }, { resource }));
    accounting.expect(200, await accounting.settle(alice, body['holdId'], 10));
    const id = await newest();
    await forge(forgery, id);
    const explanation = await explain(id);
    expect(String(explanation['faults'])).toContain(fault);
    expect(explanation['matches']).toBe(false);
  });

  it.each([
    ['units', `UPDATE streaming_sessions SET units = '{"output": 21}' WHERE ${HOLD}`, 'price of the stored'],
    ['held entry', 'UPDATE credit_entries SET amount = 3 WHERE transaction_id = $1 AND amount > 0', 'held credits'],
  ])('after somebody changed the %s of a hold', async (_what, forgery, fault) => {
    alice = await accounting.user({ credits: 100 });
    await accounting.held(alice, 20);
    const id = await newest();
    expect(await explain(id)).toMatchObject({ matches: true });
    await forge(forgery, id);
    expect(String((await explain(id))['faults'])).toContain(fault);
  });

  it.each([
    ['remainder', `UPDATE credit_allocations SET remaining_credits = 5 WHERE ${LOT}`, 'does not add up'],
    ['size', `UPDATE credit_allocations SET total_credits = 5 WHERE ${LOT}`, 'not what was granted'],
    ['debt', 'UPDATE credit_transactions SET debt_change = -5 WHERE id = $1', 'move the debt'],
  ])('after somebody changed the %s of a lot', async (_what, forgery, fault) => {
    alice = await accounting.user({ credits: 100 });
    const id = await newest();
    expect(await explain(id)).toMatchObject({ matches: true });
    await forge(forgery, id);
    expect(String((await explain(id))['faults'])).toContain(fault);
  });
});
