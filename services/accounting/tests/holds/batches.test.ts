import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, newUserId } from '@tollgate/test-kit';
import { Accounting, type User } from '../harness/accounting.ts';
import type { Answer } from '../harness/http.ts';

let accounting: Accounting;
let folder: string;
let failpoints: string;
let urls: string[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-batches-'));
  failpoints = join(folder, 'failpoints');
  accounting = await Accounting.start({ FAILPOINTS: failpoints });
  await accounting.another();
  urls = accounting.instances.map(({ url }) => url);
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
  await rm(folder, { recursive: true, force: true });
});

type ItemAnswer = { status: number; headers?: Record<string, string>; body?: Record<string, unknown> };
const PRICED = { upstream: 'openai', model: 'priced' };

const holdItem = ({ token }: Pick<User, 'token'>, output: number, holdId: string = randomUUID()) => ({
  idempotencyKey: `hold:${holdId}`,
  onBehalfOf: `Bearer ${token}`,
  hold: { holdId, resource: PRICED, units: { output } },
});
const settleItem = ({ userId }: Pick<User, 'userId'>, holdId: string, output: number) => ({
  idempotencyKey: `settle:${holdId}`,
  userId,
  holdId,
  end: { kind: 'settle', outcome: 'completed', units: { output }, usageSource: 'provider' },
});
const voidItem = ({ userId }: Pick<User, 'userId'>, holdId: string) => ({
  idempotencyKey: `void:${holdId}`,
  userId,
  holdId,
  end: { kind: 'void', reason: 'upstream failed' },
});

async function post(path: string, items: readonly object[], url?: string): Promise<Answer> {
  const token = await accounting.tokens.service('chat-proxy', 'accounting');
  return accounting.call('POST', path, { token, body: { items }, key: null }, url);
}
async function answersTo(path: string, items: readonly object[], url?: string): Promise<ItemAnswer[]> {
  return accounting.expect(200, await post(path, items, url)).body['answers'] as ItemAnswer[];
}
/** As the proxy does it: what was not known, or not done in time, is asked again. */
async function known(path: string, items: readonly object[], url?: string): Promise<ItemAnswer[]> {
  const answers = await answersTo(path, items, url);
  return Promise.all(
    answers.map(async (answer, at) =>
      [202, 503].includes(answer.status) ? await known(path, items.slice(at, at + 1), url) : [answer],
    ),
  ).then((each) => each.flat());
}
const hold = (items: readonly object[], url?: string) => known('/api/holds/batch', items, url);
const close = (items: readonly object[], url?: string) => known('/api/holds/close', items, url);
const told = (answers: readonly ItemAnswer[]) =>
  answers.map(({ status, body }) => (status < 300 ? status : [status, body?.['code']]));

describe('a batch of holds', () => {
  it('gives each item the answer that it would have had alone, and books what those answers say', async () => {
    const [rich, poor] = [await accounting.user({ credits: 100 }), await accounting.user({ credits: 5 })];
    const blocked = await accounting.user({ credits: 100 });
    const admin = await accounting.user({ role: 'admin' });
    accounting.expect(
      200,
      await accounting.call('PUT', `/api/admin/blocks/user/${blocked.userId}`, {
        token: admin.token,
        body: { reason: 'a test' },
      }),
    );
    const first = randomUUID();
    await hold([holdItem(rich, 10, first)]);
    const answers = await hold([
      holdItem(rich, 20),
      holdItem(rich, 10, first),
      holdItem(rich, 11, first),
      holdItem(poor, 6),
      { ...holdItem(poor, 9), hold: { holdId: randomUUID(), resource: PRICED, units: { output: 9 }, minOutput: 2 } },
      {
        ...holdItem(rich, 1),
        hold: { holdId: randomUUID(), resource: { upstream: 'elsewhere', model: 'gpt' }, units: { output: 1 } },
      },
      holdItem(blocked, 1),
      { ...holdItem(rich, 1), onBehalfOf: 'Bearer nobody' },
      { ...holdItem(rich, 1), onBehalfOf: newUserId() },
    ]);
    expect(told(answers)).toEqual([
      201,
      201,
      [422, 'idempotency_key_reused'],
      [402, 'insufficient_credits'],
      201,
      [402, 'model_not_priced'],
      [403, 'account_disabled'],
      [401, 'invalid_token'],
      [402, 'insufficient_credits'],
    ]);
    expect(answers[1]?.headers).toMatchObject({ 'idempotency-replayed': 'true' });
    expect(answers[4]?.body).toMatchObject({ clamped: true, units: { output: 5 } });
    expect(answers[3]?.body).toHaveProperty('availableCredits');
    expect(await accounting.balance(rich)).toEqual({ available: 70, held: 30 });
    expect(await accounting.balance(poor)).toEqual({ available: 0, held: 5 });
    expect(await accounting.balance(blocked)).toEqual({ available: 100, held: 0 });
  });

  it('that is not well formed in one item changes nothing for any of them', async () => {
    const alice = await accounting.user({ credits: 10 });
    const answer = await post('/api/holds/batch', [
      holdItem(alice, 1),
      { ...holdItem(alice, 1), hold: { holdId: 'no id' } },
    ]);
    expect([answer.status, answer.body.code]).toEqual([400, 'validation_failed']);
    expect(await accounting.balance(alice)).toEqual({ available: 10, held: 0 });
  });

  it('is for services only', async () => {
    const alice = await accounting.user({ credits: 10 });
    for (const [path, item] of [
      ['/api/holds/batch', holdItem(alice, 1)],
      ['/api/holds/close', voidItem(alice, randomUUID())],
    ] as const) {
      const answer = await accounting.call('POST', path, { token: alice.token, body: { items: [item] } });
      expect([answer.status, answer.body.code]).toEqual([403, 'service_token_required']);
    }
  });

  it('races with others at two instances: a hundred credits are held exactly a hundred times', async () => {
    const alice = await accounting.user({ credits: 100 });
    const batches = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        hold(
          Array.from({ length: 25 }, () => holdItem(alice, 1)),
          urls[n % 2],
        ),
      ),
    );
    const statuses = batches.flat().map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(100);
    expect(statuses.filter((status) => status === 402)).toHaveLength(100);
    expect(await accounting.balance(alice)).toEqual({ available: 0, held: 100 });
  });

  it('meets the same item in other batches and alone: one hold, whoever comes first', async () => {
    const alice = await accounting.user({ credits: 100 });
    const ids = Array.from({ length: 10 }, () => randomUUID());
    await Promise.all([
      ...urls.flatMap((url) => [
        hold(
          ids.map((id) => holdItem(alice, 2, id)),
          url,
        ),
        hold(
          ids.toReversed().map((id) => holdItem(alice, 2, id)),
          url,
        ),
      ]),
      ...ids.map((holdId) => accounting.hold(alice, { output: 2 }, { holdId, key: `hold:${holdId}` })),
    ]);
    const again = await Promise.all(
      ids.map((holdId) => accounting.hold(alice, { output: 2 }, { holdId, key: `hold:${holdId}` })),
    );
    expect(again.map(({ status, headers }) => [status, headers.get('idempotency-replayed')])).toEqual(
      ids.map(() => [201, 'true']),
    );
    expect(await accounting.balance(alice)).toEqual({ available: 80, held: 20 });
  });

  it('waits for no account that is locked: its item is to be asked again, its neighbours have theirs', async () => {
    const alice = await accounting.user({ credits: 10 });
    const others = await Promise.all(Array.from({ length: 5 }, () => accounting.user({ credits: 10 })));
    const item = holdItem(alice, 4);
    const client = await accounting.db.connect();
    await client.query('BEGIN');
    await client.query('SELECT FROM user_accounts WHERE id = $1 FOR UPDATE', [alice.userId]);
    const answers = await answersTo('/api/holds/batch', [item, ...others.map((user) => holdItem(user, 3))]).finally(
      async () => {
        await client.query('ROLLBACK');
        client.release();
      },
    );
    expect(answers[0]).toEqual({ status: 202 });
    expect(answers.slice(1).filter(({ status }) => status !== 201 && status !== 202)).toEqual([]);
    expect(answers.some(({ status }) => status === 201)).toBe(true);
    const { holdId } = item.hold;
    accounting.expect(201, await accounting.hold(alice, { output: 4 }, { holdId, key: item.idempotencyKey }));
    expect(await accounting.balance(alice)).toEqual({ available: 6, held: 4 });
  });
});

describe('a batch of endings', () => {
  it('gives each item the answer that it would have had alone', async () => {
    const alice = await accounting.user({ credits: 100 });
    const bob = await accounting.user({ credits: 50 });
    const held = (credits: number) => accounting.held(alice, credits);
    const [one, two, three] = [await held(30), await held(20), await held(10)];
    const bobs = await accounting.held(bob, 50);
    const overtaking = randomUUID();
    const answers = await close([
      settleItem(alice, one, 12),
      voidItem(alice, two),
      settleItem(bob, bobs, 50),
      settleItem(bob, three, 1),
      settleItem(alice, randomUUID(), 1),
      voidItem(alice, overtaking),
    ]);
    expect(told(answers)).toEqual([200, 200, 200, [404, 'not_found'], [404, 'not_found'], 200]);
    expect(answers.slice(0, 3).map(({ body }) => [body?.['status'], body?.['chargedCredits']])).toEqual([
      ['settled', 12],
      ['voided', 0],
      ['settled', 50],
    ]);
    const [late] = await hold([holdItem(alice, 1, overtaking)]);
    expect(told([late as ItemAnswer])).toEqual([[409, 'hold_closed']]);
    const again = await close([
      settleItem(alice, one, 12),
      { ...settleItem(alice, one, 15), idempotencyKey: 'another' },
    ]);
    expect(again.map(({ body }) => [body?.['alreadyFinal'], body?.['chargedCredits']])).toEqual([
      [false, 12],
      [true, 12],
    ]);
    expect(await accounting.balance(alice)).toEqual({ available: 78, held: 10 });
    expect(await accounting.revenueOf(bob)).toBe(50);
  });

  it('races with others and with single endings: each hold is charged once', async () => {
    const users = await Promise.all(Array.from({ length: 6 }, () => accounting.user({ credits: 100 })));
    const holds = await Promise.all(users.map(async (user) => ({ user, holdId: await accounting.held(user, 10) })));
    await Promise.all([
      ...urls.flatMap((url) => [
        close(
          holds.map(({ user, holdId }) => settleItem(user, holdId, 7)),
          url,
        ),
        close(
          holds.toReversed().map(({ user, holdId }) => settleItem(user, holdId, 7)),
          url,
        ),
      ]),
      ...holds.map(({ user, holdId }) => accounting.settle(user, holdId, 7, { key: `settle:${holdId}` })),
    ]);
    for (const { user } of holds) {
      expect(await accounting.balance(user)).toEqual({ available: 93, held: 0 });
      expect(await accounting.revenueOf(user)).toBe(7);
    }
  });
});

/** Until the process has come there and is no more, whatever it has answered before. */
async function killedAt(place: string, user: User | undefined, call: () => Promise<unknown>): Promise<void> {
  const line = `${place} abort ${user?.userId}\n`;
  await writeFile(failpoints, line);
  await call().catch(() => undefined);
  await eventually(async () => {
    const reached = await readFile(`${failpoints}.reached`, 'utf8').catch(() => '');
    return reached.includes(line.replace(' abort', '')) || undefined;
  }, `a death at ${place}`);
  await writeFile(failpoints, '');
}

describe('accounting that dies between the commit of a batch and its answer', () => {
  it('leaves holds that are taken once, however often they are asked for', async () => {
    const users = await Promise.all(Array.from({ length: 8 }, () => accounting.user({ credits: 10 })));
    const items = users.map((user) => holdItem(user, 4));
    const victim = await accounting.process();
    await killedAt('s1.after', users[3], () => answersTo('/api/holds/batch', items, victim));
    expect(told(await hold(items))).toEqual(items.map(() => 201));
    for (const user of users) expect(await accounting.balance(user)).toEqual({ available: 6, held: 4 });
  });

  it('leaves endings that are charged once, however often they are told', async () => {
    const users = await Promise.all(Array.from({ length: 8 }, () => accounting.user({ credits: 10 })));
    const ends = await Promise.all(users.map(async (user) => settleItem(user, await accounting.held(user, 4), 3)));
    const victim = await accounting.process();
    await killedAt('s7.after', users[3], () => answersTo('/api/holds/close', ends, victim));
    expect(told(await close(ends))).toEqual(ends.map(() => 200));
    for (const user of users) {
      expect(await accounting.balance(user)).toEqual({ available: 7, held: 0 });
      expect(await accounting.revenueOf(user)).toBe(3);
    }
  });
});
