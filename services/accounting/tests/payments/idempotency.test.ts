import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { accounting as contract, type OperationSpec, PERMISSIONS } from '@tollgate/contracts';
import { examplePath } from '@tollgate/test-kit';
import { Accounting, type User } from '../harness/accounting.ts';
import { PAYMENTS } from './webhooks.ts';

// The three codes of the IETF draft on every operation that moves money: 400 without a key, 409 while the first request runs,
// 422 for another body; and the first answer, marked, for the same one.

let accounting: Accounting;
let people: Record<'enduser' | 'admin', User>;
beforeAll(async () => {
  accounting = await Accounting.start(PAYMENTS);
  people = { enduser: await accounting.user({ credits: 1000 }), admin: await accounting.user({ role: 'admin' }) };
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const operations = (Object.values(contract) as unknown[]).filter(
  (value): value is OperationSpec => typeof value === 'object' && value !== null && 'permission' in value,
);
/** What changes something and yet needs no key, each because repeating it has no further effect. */
const WITHOUT_KEY = [
  'calculateCredits',
  'checkCredits',
  'createAccount',
  'createPrice',
  'renewHold',
  'renewHolds',
  // The items of these have a key each.
  'closeHoldsBatch',
  'holdCreditsBatch',
  'revokeAllocation',
  'receivePayment',
  'voidVoucher',
  // These end in the state they name, however often.
  'blockSubject',
  'changeLimit',
  'changeTenant',
  'createLimit',
  'endLimit',
  'setBilling',
  'setKeyLimits',
  'setPriceGroup',
  'unblockSubject',
];
const keyed = operations
  .filter(({ idempotencyKey }) => idempotencyKey === 'required')
  .map((operation) => [operation.id, operation] as const);

describe('an operation that moves money', () => {
  it('wants a key, or is known to be harmless when it is repeated', () => {
    const others = operations.filter(({ method, idempotencyKey }) => method !== 'GET' && idempotencyKey !== 'required');
    expect(others.map(({ id }) => id).filter((id) => !WITHOUT_KEY.includes(id))).toEqual([]);
  });

  it.each(keyed)('%s is refused with 400 without a key, and with one that is no key', async (_id, operation) => {
    const callers = PERMISSIONS[operation.permission];
    const token =
      callers === 'service' ? await accounting.tokens.service('chat-proxy', 'accounting') : people.admin.token;
    const call = (key: string | null) =>
      accounting.call(operation.method, examplePath(operation), {
        token,
        key,
        body: {},
        ...(callers === 'service' && { onBehalfOf: people.enduser.token }),
      });
    expect(await call(null)).toMatchObject({ status: 400, body: { code: 'idempotency_key_required' } });
    for (const key of ['', 'é', 'a\tb', 'x'.repeat(256)])
      expect(await call(key)).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
  });
});

type Case = Readonly<{
  by: 'enduser' | 'admin' | 'service';
  method?: string;
  path: string;
  body: object;
  other: object;
  /** What its effects are counted by. */
  rows?: string;
}>;
const MONEY = "credit_transactions WHERE type IN ('grant', 'adjustment', 'refund', 'settle')";
const PRICED = { upstream: 'openai', model: 'priced' };
const inTenDays = new Date(Date.now() + 864_000_000).toISOString();

const cases = async (): Promise<Record<string, Case>> => {
  const alice = await accounting.user();
  const payer = await accounting.user({ credits: 100 });
  const holdId = await accounting.held(payer, 100);
  await accounting.settle(payer, holdId, 100);
  const userId = alice.userId;
  const reason = 'a reason';
  return {
    allocate: { by: 'admin', path: 'credits/allocate', body: { userId, credits: 7 }, other: { userId, credits: 8 } },
    set: { by: 'admin', path: 'credits/set', body: { userId, credits: 9 }, other: { userId, credits: 10 } },
    adjust: {
      by: 'admin',
      method: 'PUT',
      path: 'credits/adjust',
      body: { userId, adjustment: 5, notes: reason },
      other: { userId, adjustment: 6, notes: reason },
    },
    deduct: { by: 'enduser', path: 'credits/deduct', body: { credits: 2 }, other: { credits: 3 } },
    refund: {
      by: 'admin',
      path: 'credits/refunds',
      body: { holdId, credits: 2, reason },
      other: { holdId, credits: 3, reason },
    },
    order: { by: 'enduser', path: 'topups', body: { credits: 100 }, other: { credits: 200 }, rows: 'topup_orders' },
    hold: {
      by: 'service',
      path: 'holds',
      body: { holdId: randomUUID(), resource: PRICED, units: { output: 3 } },
      other: { holdId: randomUUID(), resource: PRICED, units: { output: 3 } },
      rows: 'streaming_sessions',
    },
    settle: {
      by: 'service',
      path: `holds/${await accounting.held(people.enduser, 5)}/settle`,
      body: { outcome: 'completed', units: { output: 2 }, usageSource: 'provider' },
      other: { outcome: 'completed', units: { output: 3 }, usageSource: 'provider' },
    },
    session: {
      by: 'enduser',
      path: 'streaming-sessions/initialize',
      body: { sessionId: 'one', modelId: 'priced', estimatedTokens: 4 },
      other: { sessionId: 'another', modelId: 'priced', estimatedTokens: 4 },
      rows: 'streaming_sessions',
    },
    usage: {
      by: 'service',
      path: 'usage/record',
      body: { service: 'images', operation: 'draw', credits: 1 },
      other: { service: 'images', operation: 'draw', credits: 2 },
      rows: 'usage_logs',
    },
    vouchers: {
      by: 'admin',
      path: 'vouchers',
      body: { credits: 10, redeemableUntil: inTenDays },
      other: { credits: 20, redeemableUntil: inTenDays },
      rows: 'vouchers',
    },
  };
};
const withoutCodes = (answer: { body: object } | undefined) =>
  JSON.stringify(answer?.body).replaceAll(/"code":(null|"[^"]*")/g, '');
const NAMES = [
  'allocate',
  'set',
  'adjust',
  'deduct',
  'refund',
  'order',
  'vouchers',
  'hold',
  'settle',
  'session',
  'usage',
];

describe.each(NAMES)('%s', (name) => {
  it('has one effect for fifty requests at once with one key, repeats its answer, and refuses another body', async () => {
    const chosen = (await cases())[name];
    if (!chosen) throw new Error(`no case ${name}`);
    const { by, method = 'POST', path, body, other, rows = MONEY } = chosen;
    const key = randomUUID();
    const call = (content: object) =>
      by === 'service'
        ? accounting.proxy(method, `/api/${path}`, people.enduser, { body: content, key })
        : accounting.call(method, `/api/${path}`, { token: people[by].token, body: content, key });
    const effects = () => accounting.number(`SELECT count(*) AS value FROM ${rows}`);
    const before = await effects();
    const answers = await Promise.all(Array.from({ length: 50 }, () => call(body)));
    expect(answers.filter(({ status }) => ![200, 201, 409].includes(status))).toEqual([]);
    const running = answers.filter(({ status }) => status === 409);
    expect(running.filter((answer) => answer.body.code !== 'idempotency_in_progress')).toEqual([]);
    const fresh = answers.filter(({ status, headers }) => status < 300 && headers.get('idempotency-replayed') === null);
    expect(fresh).toHaveLength(1);
    expect((await effects()) - before).toBe(1);

    const again = await call(body);
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([fresh[0]?.status, 'true']);
    // All but the codes of vouchers, which are shown once.
    expect(withoutCodes(again)).toBe(withoutCodes(fresh[0]));
    expect(await call(other)).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
    expect((await effects()) - before).toBe(1);
  });
});
