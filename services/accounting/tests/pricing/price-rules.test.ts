import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MAX_TIERS, MAX_UNIT_PRICE } from '@tollgate/contracts';
import { newUserId } from '@tollgate/test-kit';
import { Accounting, type User } from '../harness/accounting.ts';

let accounting: Accounting;
let admin: User;
beforeAll(async () => {
  accounting = await Accounting.start();
  admin = await accounting.user({ role: 'admin' });
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const ascending = (one: number, other: number) => one - other;
const write = (body: object) => accounting.call('POST', '/api/pricing', { token: admin.token, body });
const add = async (body: object) => accounting.expect(201, await write(body)).body;
const rulesStored = () => accounting.number('SELECT count(*) AS value FROM price_rules');
const resource = (model: string) => ({ upstream: 'openai', model });

describe('a price rule', () => {
  it('gets a version of its own from each of several operators who write it at once', async () => {
    const rule = { upstream: 'mine', model: 'm-*', unitPrices: { output: 5 } };
    const versions = (await Promise.all([add(rule), add(rule), add(rule)])).map(({ version }) => Number(version));
    expect(versions.sort(ascending)).toEqual([1, 2, 3]);
    const metrics = await accounting.first.deps.metrics.text();
    expect(/^tollgate_price_added_total\{.*\} [1-9]/m.test(metrics)).toBe(true);
  });

  it('at a bound is accepted', async () => {
    const tiers = Array.from({ length: MAX_TIERS }, (_, n) => ({
      aboveInputUnits: n + 1,
      unitPrices: { output: MAX_UNIT_PRICE },
    }));
    const model = 'm'.repeat(200);
    const added = await add({ upstream: 'bound', model, unitPrices: { output: MAX_UNIT_PRICE }, tiers });
    expect(added).toMatchObject({ model, tiers, unitPrices: { output: MAX_UNIT_PRICE } });
    const markup = { markupNumerator: 1_000_000, markupDenominator: 1000 };
    await add({ upstream: 'bound', unitPrices: { output: MAX_UNIT_PRICE / 1000 }, ...markup });
  });

  const good = { upstream: 'refused', unitPrices: { output: 5 } };
  const tier = (aboveInputUnits: unknown, unitPrices: object) => ({ aboveInputUnits, unitPrices });
  it.each<[string, object]>([
    ['a negative price', { unitPrices: { output: -1 } }],
    ['a fraction of a micro-credit', { unitPrices: { output: 0.5 } }],
    ['a price above the sanity bound', { unitPrices: { output: MAX_UNIT_PRICE + 1 } }],
    ['a price that its markup lifts above the bound', { unitPrices: { output: MAX_UNIT_PRICE }, markupNumerator: 2 }],
    ['a markup of more than a thousandfold', { markupNumerator: 1001 }],
    ['a markup of nothing', { markupNumerator: 0 }],
    ['a markup divided by nothing', { markupDenominator: 0 }],
    ['a markup beyond its parts', { markupNumerator: 1_000_001, markupDenominator: 1_000_000 }],
    ['no price at all', { unitPrices: {} }],
    ['prices of nothing without free', { unitPrices: { output: 0, input: 0 } }],
    ['free with a price', { free: true }],
    ['free with tiers', { free: true, unitPrices: {}, tiers: [tier(1, {})] }],
    ['an unknown class of units', { unitPrices: { output: 1, tokens: 1 } }],
    ['an unknown class in a tier', { tiers: [tier(1, { output: 5, tokens: 1 })] }],
    ['a pattern of nothing but marks', { model: '**' }],
    ['an empty pattern', { model: ' ' }],
    ['a pattern of strange letters', { model: 'a%' }],
    ['a pattern of absurd length', { model: 'm'.repeat(201) }],
    ['a rule for everything', { upstream: '*' }],
    ['a version in the past', { validFrom: '2020-01-01T00:00:00Z' }],
    ['a tier without a bound', { tiers: [tier(0, { output: 5 })] }],
    ['tiers in a wrong order', { tiers: [tier(2, { output: 5 }), tier(1, { output: 5 })] }],
    ['two tiers of one bound', { tiers: [tier(2, { output: 5 }), tier(2, { output: 5 })] }],
    ['a tier that is cheaper than the first prices', { tiers: [tier(2, { output: 4 })] }],
    ['a tier that leaves out a class', { tiers: [tier(2, { input: 9 })] }],
    ['a tier that is cheaper than the one below', { tiers: [tier(2, { output: 9 }), tier(3, { output: 8 })] }],
    ['more tiers than there may be', { tiers: Array.from({ length: 9 }, (_, n) => tier(n + 1, { output: 5 })) }],
  ])('with %s is refused with 422, and nothing is stored', async (_what, fault) => {
    const before = await rulesStored();
    expect(await write({ ...good, ...fault })).toMatchObject({ status: 422, body: { code: 'invalid_price' } });
    expect(await rulesStored()).toBe(before);
  });

  it.each<[string, object]>([
    ['a price that is text', { unitPrices: { output: '5' } }],
    ['a price of null', { unitPrices: { output: null } }],
    ['an unknown field', { discount: 5 }],
    ['an unknown mode', { mode: 'generous' }],
    ['both a bad price and a bad field', { unitPrices: { output: -1 }, mode: 'generous' }],
  ])('with %s is not even a request', async (_what, fault) => {
    const before = await rulesStored();
    expect(await write({ ...good, ...fault })).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    expect(await rulesStored()).toBe(before);
  });

  it.each([
    ['free with prices', `'{"output": 5}', '[]', true`],
    ['without any price', `'{"output": 0}', '[]', false`],
    ['with a cheaper tier', `'{"output": 5}', '[{"aboveInputUnits": 1, "unitPrices": {"output": 4}}]', false`],
    ['with a tier that leaves out a class', `'{"output": 5}', '[{"aboveInputUnits": 1, "unitPrices": {}}]', false`],
    ['with tiers in a wrong order', `'{"output": 5}', '[{"aboveInputUnits": 0, "unitPrices": {"output": 5}}]', false`],
    ['with a tier of text', `'{"output": 5}', '[{"aboveInputUnits": "1", "unitPrices": {"output": 5}}]', false`],
  ])('%s is refused by the database itself', async (_what, values) => {
    const inserted = accounting.db.query(
      `INSERT INTO price_rules (upstream, version, valid_from, mode, created_by, unit_prices, tiers, free)
       VALUES ('x', 1, now(), 'metered', 'x', ${values})`,
    );
    await expect(inserted).rejects.toMatchObject({ code: '23514' });
  });

  it('of a later time holds from that time on', async () => {
    const alice = await accounting.user();
    const later = new Date(Date.now() + 90 * 60_000).toISOString();
    await add({ ...resource('later'), unitPrices: { output: 1_000_000 } });
    await add({ ...resource('later'), unitPrices: { output: 2_000_000 }, validFrom: later });
    const quote = async () =>
      (
        await accounting.call('POST', '/api/credits/calculate', {
          token: alice.token,
          body: { modelId: 'later', tokens: 10 },
        })
      ).body;
    expect(await quote()).toMatchObject({ credits: 10, price: { version: 1 } });
    await accounting.advanceClock(2);
    await add({ upstream: 'elsewhere', unitPrices: { output: 1 } }); // the rules in force are read again
    expect(await quote()).toMatchObject({ credits: 20, price: { version: 2 } });
  });

  it('case 44: is never deleted nor edited, whether a hold refers to it or not', async () => {
    const alice = await accounting.user({ credits: 10 });
    const { ruleId } = await add({ ...resource('kept'), unitPrices: { output: 1_000_000 } });
    const stored = async () =>
      (await accounting.db.query('SELECT to_jsonb(r) AS rule FROM price_rules r WHERE id = $1', [ruleId])).rows;
    const before = await stored();
    const refuseAll = async () => {
      for (const statement of [
        'DELETE FROM price_rules WHERE id = $1',
        `UPDATE price_rules SET unit_prices = '{"output": 1}' WHERE id = $1`,
        'UPDATE price_rules SET valid_from = now() WHERE id = $1',
      ])
        await expect(accounting.db.query(statement, [ruleId])).rejects.toMatchObject({ code: '23001' });
    };
    await refuseAll();
    accounting.expect(201, await accounting.hold(alice, { output: 4 }, { resource: resource('kept') }));
    await refuseAll();
    await expect(accounting.db.query('TRUNCATE price_rules')).rejects.toMatchObject({ code: '23001' });
    expect(await stored()).toEqual(before);
    for (const method of ['DELETE', 'PUT', 'PATCH'])
      expect((await accounting.call(method, `/api/pricing/${ruleId}`, { token: admin.token })).status).toBe(404);
  });
});

describe('the list of prices', () => {
  type Rule = { ruleId: string; upstream: string; model: string; version: number };
  const list = async (query: string) =>
    accounting.expect(200, await accounting.call('GET', `/api/pricing?${query}`, { token: admin.token })).body as {
      rules: Rule[];
      nextCursor: string | null;
    };

  it('is paged without gaps or repetitions while rules are added', async () => {
    for (let n = 1; n <= 5; n += 1) await add({ upstream: 'paged', model: `p${n}`, unitPrices: { output: n } });
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page = await list(`upstream=paged&limit=2${cursor && `&cursor=${cursor}`}`);
      seen.push(...page.rules.map(({ model }) => model));
      await add({ upstream: 'paged', model: 'newer', unitPrices: { output: 1 } });
      cursor = page.nextCursor;
    }
    expect(seen).toEqual(['p5', 'p4', 'p3', 'p2', 'p1']);
  });

  it('is filtered by a pattern as it was written, and to the versions in force', async () => {
    const rule = { upstream: 'listed', model: 'a-*', chatflow: 'f', group: 'g' };
    await add({ ...rule, unitPrices: { output: 1 } });
    await add({ ...rule, unitPrices: { output: 2 } });
    await add({ ...rule, unitPrices: { output: 3 }, validFrom: '2100-01-01T00:00:00Z' });
    await add({ upstream: 'listed', unitPrices: { output: 4 } });
    const versions = async (query: string) => (await list(query)).rules.map(({ version }) => version);
    expect(await versions('upstream=listed&model=a-*&chatflow=f&group=g')).toEqual([3, 2, 1]);
    expect(await versions('upstream=listed&model=a-*&current=true')).toEqual([2]);
    expect(await versions('upstream=listed&model=a-')).toEqual([]);
    expect((await list('upstream=listed&current=true')).rules).toHaveLength(2);
  });

  it('refuses what is no cursor or filter of its own', async () => {
    for (const query of ['cursor=7', 'limit=0', 'limit=101', 'current=perhaps', 'colour=red'])
      expect(await accounting.call('GET', `/api/pricing?${query}`, { token: admin.token })).toMatchObject({
        status: 400,
      });
  });
});

describe('a price group', () => {
  const groupOf = (userId: string, group?: unknown) =>
    accounting.call(group === undefined ? 'GET' : 'PUT', `/api/admin/users/${userId}/price-group`, {
      token: admin.token,
      ...(group !== undefined && { body: { group } }),
    });

  it('decides what its accounts are quoted and held, and is pinned on the hold', async () => {
    const [alice, bob] = [await accounting.user({ credits: 100 }), await accounting.user({ credits: 100 })];
    await add({ ...resource('grouped'), unitPrices: { output: 2_000_000 } });
    await add({ ...resource('grouped'), group: 'gold*', unitPrices: { output: 1_000_000 } });
    expect(await groupOf(alice.userId, 'gold-2026')).toMatchObject({
      status: 200,
      body: { userId: alice.userId, group: 'gold-2026', previousGroup: null },
    });
    expect(await groupOf(alice.userId)).toMatchObject({ status: 200, body: { group: 'gold-2026' } });
    const quote = async ({ token }: User) =>
      (
        await accounting.call('POST', '/api/credits/calculate', {
          token,
          body: { modelId: 'grouped', units: { output: 10 } },
        })
      ).body['credits'];
    expect([await quote(alice), await quote(bob)]).toEqual([10, 20]);
    const held = async (user: User) =>
      accounting.expect(201, await accounting.hold(user, { output: 10 }, { resource: resource('grouped') })).body;
    const [hers, his] = [await held(alice), await held(bob)];
    expect([hers['heldCredits'], his['heldCredits']]).toEqual([10, 20]);
    expect(await groupOf(alice.userId, null)).toMatchObject({ body: { group: null, previousGroup: 'gold-2026' } });
    expect((await accounting.settle(alice, hers['holdId'], 10)).body['chargedCredits']).toBe(10);
    expect(await quote(alice)).toBe(20);
  });

  it('of an account decides about the streaming sessions that its user opens', async () => {
    const alice = await accounting.user({ credits: 100 });
    await add({ ...resource('session-priced'), unitPrices: { output: 2_000_000 } });
    await add({ ...resource('session-priced'), group: 'silver', unitPrices: { output: 1_000_000 } });
    await groupOf(alice.userId, 'silver');
    const body = { sessionId: 's', modelId: 'session-priced', estimatedTokens: 30 };
    expect(
      await accounting.call('POST', '/api/streaming-sessions/initialize', { token: alice.token, body }),
    ).toMatchObject({ status: 201, body: { allocatedCredits: 30 } });
  });

  it('is not read where no rule for the resource names a group', async () => {
    const asked: string[] = [];
    const { createPrices } = await import('../../src/store/prices.ts');
    const prices = createPrices(async (sql, values) => {
      asked.push(sql);
      return (await accounting.db.query(sql, values && [...values])).rows;
    }, 60_000);
    await prices.find(resource('priced'), newUserId());
    await prices.find(resource('priced'), newUserId());
    expect(asked).toHaveLength(1); // the rules in force
    await prices.find(resource('grouped'), newUserId());
    expect(asked.filter((sql) => sql.includes('price_group'))).toHaveLength(1);
  });

  it('is refused for an account that is not there, and when it is no name', async () => {
    expect(await groupOf(newUserId(), 'gold')).toMatchObject({ status: 404 });
    expect(await groupOf(newUserId())).toMatchObject({ status: 404 });
    const alice = await accounting.user();
    for (const group of ['', '*', 'a b', 5, 'g'.repeat(65)])
      expect(await groupOf(alice.userId, group)).toMatchObject({ status: 400 });
    expect(
      await accounting.number('SELECT count(*) AS value FROM user_accounts WHERE id = $1 AND price_group IS NULL', [
        alice.userId,
      ]),
    ).toBe(1);
  });
});
