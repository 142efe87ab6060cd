import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { accounting as contract } from '@tollgate/contracts';
import { newUserId } from '@tollgate/test-kit';
import fc from 'fast-check';
import { Accounting, type User } from '../harness/accounting.ts';

let accounting: Accounting;
let admin: User;
beforeAll(async () => {
  accounting = await Accounting.start();
  admin = await accounting.user({ role: 'admin' });
});
beforeEach(() => settings({ alertPercentages: [20, 0], alertCredits: [] }));
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const patch = (body: object, token = admin.token) => accounting.call('PATCH', '/api/tenant', { token, body });

async function settings(body: object): Promise<void> {
  accounting.expect(200, await patch(body));
  while (await accounting.flows.rearmAlerts());
}

type Low = { sum: number; kind: string; value: number; base: number };

/** The alerts of a user so far, oldest first. */
async function alertsOf({ userId }: User): Promise<Low[]> {
  const { rows } = await accounting.db.query<{ type: string; payload: unknown; created_at: Date }>(
    'SELECT type, payload, created_at FROM outbox WHERE user_id = $1 ORDER BY created_at, id',
    [userId],
  );
  return rows.map(({ type, payload, created_at }) => {
    const event = contract.OutboxEvent.parse({ type, timestamp: created_at.toISOString(), data: payload });
    if (event.type !== 'credits.low' || event.data.userId !== userId) throw new Error(`unexpected ${type}`);
    const { availableCredits, heldCredits, threshold, baseCredits } = event.data;
    return { sum: availableCredits + heldCredits, kind: threshold.kind, value: threshold.value, base: baseCredits };
  });
}

async function spend(user: User, credits: number): Promise<void> {
  const holdId = await accounting.held(user, credits);
  accounting.expect(200, await accounting.settle(user, holdId, credits));
}

describe('a low-balance alert', () => {
  it('comes once when a share of the last grant is left, and not again while spending goes on', async () => {
    const alice = await accounting.user({ credits: 100 });
    await spend(alice, 79);
    expect(await alertsOf(alice)).toEqual([]);
    await spend(alice, 1);
    await spend(alice, 5);
    expect(await alertsOf(alice)).toEqual([{ sum: 20, kind: 'percent', value: 20, base: 100 }]);
  });

  it('is armed again by a grant, which the shares are then taken of', async () => {
    const alice = await accounting.user({ credits: 100 });
    await spend(alice, 90);
    await accounting.grant(alice, { credits: 190 });
    await spend(alice, 159);
    expect(await alertsOf(alice)).toHaveLength(1);
    await spend(alice, 1);
    expect(await alertsOf(alice)).toEqual([
      { sum: 10, kind: 'percent', value: 20, base: 100 },
      { sum: 40, kind: 'percent', value: 20, base: 200 },
    ]);
  });

  it('comes at an amount as well', async () => {
    await settings({ alertPercentages: [], alertCredits: [30, 10] });
    const alice = await accounting.user({ credits: 100 });
    for (const credits of [69, 1, 19, 1]) await spend(alice, credits);
    expect(await alertsOf(alice)).toEqual([
      { sum: 30, kind: 'credits', value: 30, base: 100 },
      { sum: 10, kind: 'credits', value: 10, base: 100 },
    ]);
  });

  it('is one, for the lowest threshold, when one charge crosses several', async () => {
    await settings({ alertPercentages: [50, 20, 0], alertCredits: [15] });
    const alice = await accounting.user({ credits: 100 });
    await spend(alice, 90);
    await spend(alice, 10);
    expect(await alertsOf(alice)).toEqual([
      { sum: 10, kind: 'credits', value: 15, base: 100 },
      { sum: 0, kind: 'percent', value: 0, base: 100 },
    ]);
  });

  it('does not come for a hold, which is not yet spending, nor for its release', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 100);
    accounting.expect(200, await accounting.settle(alice, holdId, 10));
    expect(await alertsOf(alice)).toEqual([]);
  });

  it('is one of fifty settlements that cross the threshold side by side on three instances', async () => {
    while (accounting.instances.length < 3) await accounting.another();
    const urls = accounting.instances.map(({ url }) => url);
    const alice = await accounting.user({ credits: 100 });
    const holds = await Promise.all(Array.from({ length: 50 }, () => accounting.held(alice, 2)));
    const settle = (some: string[]) =>
      Promise.all(some.map((holdId, n) => accounting.settle(alice, holdId, 2, { url: urls[n % 3] ?? '' })));
    const answers = [...(await settle(holds.slice(0, 45))), ...(await settle(holds.slice(45)))];
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(await alertsOf(alice)).toEqual([
      { sum: 20, kind: 'percent', value: 20, base: 100 },
      { sum: 0, kind: 'percent', value: 0, base: 100 },
    ]);
  });

  it('is not written when the charge that crosses the threshold is undone', async () => {
    const alice = await accounting.user({ credits: 100 });
    const client = await accounting.db.connect();
    await client.query('BEGIN');
    await client.query(
      `SELECT ledger.adjust_credits(ROW($1, 5, NULL, NULL, NULL, 'test', 'test', NULL)::ledger.adjustment_request)`,
      [alice.userId],
    );
    await client.query('ROLLBACK');
    client.release();
    expect(await alertsOf(alice)).toEqual([]);
    await spend(alice, 80);
    expect(await alertsOf(alice)).toHaveLength(1);
  });

  it('comes again after a refund raised the balance above the threshold, on the base of the last grant', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 50);
    accounting.expect(200, await accounting.renew(alice, holdId, { checkpoint: { output: 50 } }));
    await accounting.advanceClock(1);
    while (await accounting.flows.sweepHolds());
    await spend(alice, 40);
    accounting.expect(200, await accounting.settle(alice, holdId, 20));
    await spend(alice, 20);
    expect(await alertsOf(alice)).toEqual([
      { sum: 10, kind: 'percent', value: 20, base: 100 },
      { sum: 20, kind: 'percent', value: 20, base: 100 },
    ]);
  });

  it('comes for credits that lapse or are taken back', async () => {
    const alice = await accounting.user();
    const lot = await accounting.grant(alice, { credits: 90 });
    await accounting.grant(alice, { credits: 10 });
    accounting.expect(200, await accounting.call('DELETE', `/api/credits/allocations/${lot}`, { token: admin.token }));
    expect(await alertsOf(alice)).toEqual([{ sum: 10, kind: 'percent', value: 20, base: 100 }]);
  });
});

/** What the alerts must be, reckoned without the database: a change that takes the balance to a threshold that it was above. */
function expectedAlerts(changes: readonly number[], shares: readonly number[], amounts: readonly number[]): Low[] {
  let [sum, base] = [0, 0];
  return changes.flatMap((change): Low[] => {
    const before = sum;
    sum = Math.max(0, sum + change);
    if (sum > before) base = sum;
    const thresholds = [
      ...shares.map((value) => ({ kind: 'percent', value, credits: Math.floor((base * value) / 100) })),
      ...amounts.map((value) => ({ kind: 'credits', value, credits: value })),
    ];
    const crossed = thresholds
      .filter(({ credits }) => credits < before && credits >= sum)
      .sort((a, b) => a.credits - b.credits || b.kind.localeCompare(a.kind) || a.value - b.value);
    return crossed[0] ? [{ sum, kind: crossed[0].kind, value: crossed[0].value, base }] : [];
  });
}

const ADJUST = `SELECT ledger.adjust_credits(ROW($1, NULL, greatest($2::bigint, -(SELECT total_credits FROM user_accounts WHERE id = $1)),
  NULL, 30, 'test', 'test', NULL)::ledger.adjustment_request)`;

describe('alerts after any changes of a balance', () => {
  it('are those that a plain reckoning gives', async () => {
    await settings({ alertPercentages: [50, 20, 5, 0], alertCredits: [7, 40] });
    const change = fc.oneof(fc.integer({ min: -60, max: -1 }), fc.integer({ min: 1, max: 120 }));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 5, maxLength: 25 }), async (changes) => {
        const alice = { userId: newUserId(), token: '', role: 'enduser' } as const;
        await accounting.db.query('INSERT INTO user_accounts (id) VALUES ($1)', [alice.userId]);
        for (const amount of changes) await accounting.db.query(ADJUST, [alice.userId, amount]);
        expect(await alertsOf(alice)).toEqual(expectedAlerts(changes, [50, 20, 5, 0], [7, 40]));
      }),
      { numRuns: 60 },
    );
  });
});

describe('the settings of the installation', () => {
  it('are shown and changed by administrators, and a change is told once with what was before', async () => {
    const before = await accounting.number("SELECT count(*) AS value FROM outbox WHERE type = 'tenant.changed'");
    const body = { timeZone: 'Europe/Berlin', alertPercentages: [50, 5], alertCredits: [1000] };
    expect(await patch(body)).toMatchObject({ status: 200, body });
    expect(await patch(body)).toMatchObject({ status: 200 });
    expect((await accounting.call('GET', '/api/tenant', { token: admin.token })).body).toEqual(body);
    const { rows } = await accounting.db.query<{ payload: unknown }>(
      "SELECT payload FROM outbox WHERE type = 'tenant.changed' ORDER BY created_at OFFSET $1",
      [before],
    );
    expect(rows).toHaveLength(1);
    expect(rows[0]?.payload).toMatchObject({
      actor: `admin:${admin.userId}`,
      before: { timeZone: 'UTC', alertPercentages: [20, 0], alertCredits: [] },
      after: body,
    });
    expect(await patch({ timeZone: 'UTC' })).toMatchObject({ status: 200, body: { timeZone: 'UTC' } });
  });

  it.each([
    ['nothing', {}],
    ['an unknown field', { alerts: [1] }],
    ['a zone that is none', { timeZone: 'Mars/Olympus' }],
    ['a zone in a spelling of its own', { timeZone: 'XYZ5' }],
    ['a zone of the machine', { timeZone: 'localtime' }],
    ['a share above 99', { alertPercentages: [100] }],
    ['a share below 0', { alertPercentages: [-1] }],
    ['half a percent', { alertPercentages: [0.5] }],
    ['a threshold twice', { alertPercentages: [5, 5] }],
    ['too many thresholds', { alertPercentages: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] }],
    ['an amount of 0', { alertCredits: [0] }],
    ['an amount as text', { alertCredits: ['5'] }],
  ])('refuse %s and stay as they are', async (_what, body) => {
    const read = async () => (await accounting.call('GET', '/api/tenant', { token: admin.token })).body;
    const before = await read();
    expect([400, 422]).toContain((await patch(body)).status);
    expect(await read()).toEqual(before);
  });

  it('are nothing to other people', async () => {
    const [alice, boss] = [await accounting.user(), await accounting.user({ role: 'supervisor' })];
    for (const { token } of [alice, boss]) {
      expect(await patch({ timeZone: 'UTC' }, token)).toMatchObject({ status: 403 });
      expect(await accounting.call('GET', '/api/tenant', { token })).toMatchObject({ status: 403 });
    }
  });

  it('reach accounts that were armed before, without an alert for what they were below already', async () => {
    const [above, below] = [await accounting.user({ credits: 100 }), await accounting.user({ credits: 100 })];
    await spend(below, 60);
    await settings({ alertPercentages: [50] });
    await spend(above, 50);
    await spend(below, 10);
    expect(await alertsOf(above)).toEqual([{ sum: 50, kind: 'percent', value: 50, base: 100 }]);
    expect(await alertsOf(below)).toEqual([]);
  });

  it('reach an account that is busy in their turn later, and accounts older than alerts by their ledger', async () => {
    const alice = await accounting.user({ credits: 100 });
    await spend(alice, 10);
    await accounting.db.query(
      'UPDATE user_accounts SET alert_version = 0, alert_base = 0, alert_below = 0 WHERE id = $1',
      [alice.userId],
    );
    const client = await accounting.db.connect();
    await client.query('BEGIN');
    await client.query('SELECT FROM user_accounts WHERE id = $1 FOR UPDATE', [alice.userId]);
    while (await accounting.flows.rearmAlerts());
    await client.query('ROLLBACK');
    client.release();
    while (await accounting.flows.rearmAlerts());
    await spend(alice, 70);
    expect(await alertsOf(alice)).toEqual([{ sum: 20, kind: 'percent', value: 20, base: 100 }]);
  });
});
