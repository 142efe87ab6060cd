import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { newUserId } from '@tollgate/test-kit';
import { Accounting, type User } from '../harness/accounting.ts';

let accounting: Accounting;
beforeAll(async () => {
  accounting = await Accounting.start();
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

describe('a void that overtakes its hold', () => {
  it('closes the hold before it is there: what arrives later is refused and takes nothing', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = randomUUID();
    const first = await accounting.void(alice, holdId, { key: 'v' });
    expect(first).toMatchObject({
      status: 200,
      body: { holdId, status: 'voided', heldCredits: 0, chargedCredits: 0, availableCredits: 100, alreadyFinal: false },
    });
    expect((await accounting.void(alice, holdId, { key: 'v' })).body).toEqual(first.body);
    expect(await accounting.void(alice, holdId)).toMatchObject({ status: 200, body: { alreadyFinal: true } });
    expect(await accounting.hold(alice, { output: 30 }, { holdId })).toMatchObject({
      status: 409,
      body: { code: 'hold_closed', hold: { status: 'voided', heldCredits: 0 } },
    });
    expect(await accounting.settle(alice, holdId, 5)).toMatchObject({
      status: 200,
      body: { status: 'voided', chargedCredits: 0, alreadyFinal: true },
    });
    expect(await accounting.balance(alice)).toEqual({ available: 100, held: 0 });
  });

  it('has one winner when both arrive at the same instant, forty times over two instances', async () => {
    const alice = await accounting.user({ credits: 1000 });
    const { url } = await accounting.another();
    for (let round = 0; round < 40; round += 1) {
      const holdId = randomUUID();
      const isVoidFirst = round % 2 === 0;
      const hold = () => accounting.hold(alice, { output: 10 }, { holdId, ...(round % 4 < 2 && { url }) });
      const end = () => accounting.void(alice, holdId);
      const answers = await Promise.all(isVoidFirst ? [end(), hold()] : [hold(), end()]);
      const [held, voided] = isVoidFirst ? [answers[1], answers[0]] : answers;
      expect(voided).toMatchObject({ status: 200, body: { status: 'voided' } });
      expect([held?.status, voided?.body['heldCredits']]).toEqual(held?.status === 201 ? [201, 10] : [409, 0]);
    }
    expect(await accounting.balance(alice)).toEqual({ available: 1000, held: 0 });
  });

  it('can be told to leave alone a hold that has arrived: forty races over two instances, and none loses a running hold', async () => {
    const alice = await accounting.user({ credits: 1000 });
    const { url } = await accounting.another();
    const running: string[] = [];
    for (let round = 0; round < 40; round += 1) {
      const holdId = randomUUID();
      const hold = () => accounting.hold(alice, { output: 10 }, { holdId, ...(round % 4 < 2 && { url }) });
      const bury = () => accounting.void(alice, holdId, { unlessActive: true });
      const [first, second] = await Promise.all(round % 2 === 0 ? [bury(), hold()] : [hold(), bury()]);
      const [held, buried] = round % 2 === 0 ? [second, first] : [first, second];
      expect([held.status, buried.status]).toEqual(held.status === 201 ? [201, 409] : [409, 200]);
      expect(buried.body).toMatchObject(
        held.status === 201 ? { code: 'hold_active' } : { status: 'voided', heldCredits: 0 },
      );
      if (held.status === 201) running.push(holdId);
    }
    expect(await accounting.balance(alice)).toEqual({
      available: 1000 - running.length * 10,
      held: running.length * 10,
    });
    for (const holdId of running)
      expect((await accounting.settle(alice, holdId, 7)).body).toMatchObject({ chargedCredits: 7 });
    expect(await accounting.balance(alice)).toEqual({ available: 1000 - running.length * 7, held: 0 });
  });

  it('so told, answers what a hold that has ended came to, and is idempotent', async () => {
    const alice = await accounting.user({ credits: 100 });
    const ended = await accounting.held(alice, 30);
    await accounting.settle(alice, ended, 5);
    expect(await accounting.void(alice, ended, { unlessActive: true })).toMatchObject({
      status: 200,
      body: { status: 'settled', chargedCredits: 5, alreadyFinal: true },
    });
    const early = randomUUID();
    const first = await accounting.void(alice, early, { key: 'b', unlessActive: true });
    expect(first).toMatchObject({ status: 200, body: { status: 'voided', alreadyFinal: false } });
    expect((await accounting.void(alice, early, { key: 'b', unlessActive: true })).body).toEqual(first.body);
    expect(await accounting.balance(alice)).toEqual({ available: 95, held: 0 });
  });

  const newcomer = async (): Promise<User> => {
    const userId = newUserId();
    return { userId, role: 'enduser', token: await accounting.tokens.access({ userId }) };
  };
  const accountOf = async ({ userId }: User) =>
    (await accounting.db.query('SELECT username, role FROM user_accounts WHERE id = $1', [userId])).rows;

  it('opens the account of somebody who has none yet, and still refuses what arrives later', async () => {
    const alice = await newcomer();
    const holdId = randomUUID();
    const free = { holdId, resource: { upstream: 'openai', model: 'free' } };
    const first = await accounting.void(alice, holdId, { key: 'v' });
    expect(first).toMatchObject({
      status: 200,
      body: { holdId, status: 'voided', heldCredits: 0, alreadyFinal: false },
    });
    expect(await accountOf(alice)).toEqual([{ username: null, role: 'enduser' }]);
    expect((await accounting.void(alice, holdId, { key: 'v' })).body).toEqual(first.body);
    expect(await accounting.hold(alice, { output: 30 }, free)).toMatchObject({
      status: 409,
      body: { code: 'hold_closed', hold: { status: 'voided', heldCredits: 0 } },
    });
    expect((await accounting.hold(alice, { output: 30 }, { ...free, holdId: randomUUID() })).status).toBe(201);
  });

  it('has one winner when both are the first that is heard of many newcomers, over two instances', async () => {
    const { url } = await accounting.another();
    const rounds = await Promise.all(
      Array.from({ length: 40 }, async (_, round) => {
        const alice = await newcomer();
        const holdId = randomUUID();
        const resource = { upstream: 'openai', model: 'free' };
        const hold = () => accounting.hold(alice, { output: 10 }, { holdId, resource, ...(round % 4 < 2 && { url }) });
        const end = () => accounting.void(alice, holdId);
        const [one, other] = await Promise.all(round % 2 === 0 ? [end(), hold()] : [hold(), end()]);
        const [held, voided] = round % 2 === 0 ? [other, one] : [one, other];
        return [voided.status, voided.body['status'], held.status === 201 || held.status === 409];
      }),
    );
    expect(rounds).toEqual(rounds.map(() => [200, 'voided', true]));
  });

  it('is unknown for the hold of somebody else, and opens no account then', async () => {
    const [alice, bob] = [await accounting.user({ credits: 10 }), await accounting.user()];
    const holdId = await accounting.held(alice, 10);
    const nobody = await newcomer();
    for (const other of [bob, nobody]) expect((await accounting.void(other, holdId)).status).toBe(404);
    expect(await accountOf(nobody)).toEqual([]);
    expect(await accounting.balance(alice)).toEqual({ available: 0, held: 10 });
    await accounting.void(alice, holdId);
  });
});

describe('a hold whose client has gone', () => {
  it('is not taken', async () => {
    const alice = await accounting.user({ credits: 10 });
    const holdId = randomUUID();
    const body = { holdId, resource: { upstream: 'openai', model: 'priced' }, units: { output: 5 } };
    const agent = { service: 'chat-proxy', userId: alice.userId };
    const call = { key: holdId, requestId: 'r', signal: AbortSignal.abort() };
    await expect(accounting.flows.holdCredits(agent as never, body as never, call)).rejects.toThrow();
    expect(await accounting.balance(alice)).toEqual({ available: 10, held: 0 });
  });
});

describe('a hold of another service', () => {
  it('is out of reach: 404 for one, unknown among many', async () => {
    const alice = await accounting.user({ credits: 100 });
    const holdId = await accounting.held(alice, 10);
    const token = await accounting.tokens.service('auth', 'accounting');
    const as = (path: string, body: object) =>
      accounting.call('POST', `/api/holds/${path}`, { token, onBehalfOf: alice.token, body });
    const single = await Promise.all([
      as(`${holdId}/extend`, { fence: 1, units: { output: 20 } }),
      as(`${holdId}/renew`, { fence: 1, checkpoint: { output: 3 } }),
      as(`${holdId}/settle`, { outcome: 'completed', units: { output: 10 }, usageSource: 'provider' }),
      as(`${holdId}/void`, { reason: 'mine' }),
    ]);
    expect(single.map(({ status }) => status)).toEqual([404, 404, 404, 404]);
    expect((await as('renew', { holds: [{ holdId, fence: 1 }] })).body).toMatchObject({
      holds: [{ holdId, outcome: 'unknown' }],
    });
    expect((await accounting.proxy('GET', `/api/holds/${holdId}`, alice)).body).toMatchObject({
      status: 'active',
      heldCredits: 10,
      checkpoint: null,
    });
    await accounting.void(alice, holdId);
  });
});
