import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { accounting as contract, type OperationSpec, PERMISSIONS, type Role, ROLES } from '@tollgate/contracts';
import { badCallsOf, examplePath } from '@tollgate/test-kit';
import { Accounting, type User } from '../harness/accounting.ts';

let accounting: Accounting;
let alice: User;
let roleTokens: Record<Role, string>;
beforeAll(async () => {
  accounting = await Accounting.start();
  alice = await accounting.user({ credits: 100 });
  const [enduser, supervisor, admin] = await Promise.all(ROLES.map((role) => accounting.tokens.access({ role })));
  roleTokens = { enduser: enduser ?? '', supervisor: supervisor ?? '', admin: admin ?? '' };
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const ascending = (one: number, other: number) => one - other;
const OPERATIONS = Object.values(contract).filter(
  (value): value is OperationSpec & typeof value => 'permission' in value,
);

describe('every operation', () => {
  it.each(OPERATIONS.map((operation) => [operation.id, operation] as const))(
    '%s refuses everybody else',
    async (_id, operation) => {
      for (const bad of await badCallsOf(operation, 'accounting', accounting.tokens, roleTokens)) {
        const body = operation.body ? {} : undefined;
        const answer = await accounting.call(operation.method, examplePath(operation), {
          headers: bad.headers,
          ...(body && { body }),
        });
        expect([bad.caller, answer.status, answer.body.code]).toEqual([bad.caller, bad.status, bad.code]);
      }
    },
  );

  it.each(OPERATIONS.filter(({ body }) => body !== undefined).map((operation) => [operation.id, operation] as const))(
    '%s answers nonsense with a 4xx problem',
    async (_id, operation) => {
      const isService = PERMISSIONS[operation.permission] === 'service';
      const token = isService
        ? await accounting.tokens.service('chat-proxy', 'accounting')
        : await accounting.tokens.access({ role: 'admin' });
      for (const body of [null, [], 'x', 1, { __proto__: { admin: true }, unknown: 1 }, { credits: { $gt: 0 } }]) {
        const answer = await accounting.call(operation.method, examplePath(operation), {
          token,
          onBehalfOf: alice.token,
          body,
        });
        expect([400, 422]).toContain(answer.status);
        expect(answer.headers.get('content-type')).toContain('application/problem+json');
      }
    },
  );
});

describe("a user's own token", () => {
  it('case 49: cannot hold, extend, settle, void or record, for itself or anybody', async () => {
    const holdId = await accounting.held(alice, 10);
    const attempts: [string, object][] = [
      ['/api/holds', { holdId: randomUUID(), resource: { upstream: 'openai', model: 'priced' }, units: { output: 1 } }],
      [`/api/holds/${holdId}/extend`, { fence: 1, units: { output: 11 } }],
      [`/api/holds/${holdId}/renew`, { fence: 1 }],
      [`/api/holds/${holdId}/settle`, { outcome: 'completed', units: {}, usageSource: 'provider' }],
      [`/api/holds/${holdId}/void`, { reason: 'mine' }],
      ['/api/holds/renew', { holds: [{ holdId, fence: 1 }] }],
      ['/api/usage/record', { service: 'chat', operation: 'x', credits: 0, metadata: {} }],
    ];
    for (const [path, body] of attempts) {
      const answer = await accounting.call('POST', path, { token: alice.token, body });
      expect([path, answer.status, answer.body.code]).toEqual([path, 403, 'service_token_required']);
    }
    expect(await accounting.balance(alice)).toEqual({ available: 90, held: 10 });
    await accounting.void(alice, holdId);
  });

  it('is needed beside the service token: a service alone holds for nobody', async () => {
    const token = await accounting.tokens.service('chat-proxy', 'accounting');
    const body = { holdId: randomUUID(), resource: { upstream: 'openai', model: 'priced' }, units: { output: 1 } };
    expect((await accounting.call('POST', '/api/holds', { token, body })).status).toBe(403);
    const forged = await accounting.call('POST', '/api/holds', { token, body, onBehalfOf: 'somebody' });
    expect([forged.status, forged.body.code]).toEqual([401, 'invalid_token']);
  });

  it('opens and closes sessions of its own, and reaches no hold of a service', async () => {
    const holdId = await accounting.held(alice, 10);
    const finalize = (sessionId: string) =>
      accounting.call('POST', '/api/streaming-sessions/finalize', {
        token: alice.token,
        body: { sessionId, actualTokens: 0 },
      });
    expect((await finalize(holdId)).status).toBe(404);
    await accounting.void(alice, holdId);
  });
});

describe('streaming sessions', () => {
  const session = (path: string, body: object, user = alice, key: string = randomUUID()) =>
    accounting.call('POST', `/api/streaming-sessions/${path}`, { token: user.token, body, key });

  it('live from initialize to finalize and return the rest', async () => {
    const bob = await accounting.user({ credits: 100 });
    const opening = { sessionId: 's1', modelId: 'priced', estimatedTokens: 40 };
    const [first, second] = [await session('initialize', opening, bob), await session('initialize', opening, bob)];
    expect(first).toMatchObject({
      status: 201,
      body: { sessionId: 's1', session_id: 's1', allocatedCredits: 40, status: 'active' },
    });
    expect(second.body).toEqual(first.body);
    const active = await accounting.call('GET', '/api/streaming-sessions/active', { token: bob.token });
    expect(active.body).toMatchObject([{ sessionId: 's1', modelId: 'priced', allocatedCredits: 40 }]);
    expect(await session('finalize', { session_id: 's1', actualTokens: 25 }, bob, 'end')).toMatchObject({
      status: 200,
      body: { actualCredits: 25, refund: 15 },
    });
    expect(await session('finalize', { sessionId: 's1', actualTokens: 25 }, bob, 'end')).toMatchObject({
      status: 200,
      body: { refund: 15 },
    });
    expect(await session('abort', { sessionId: 's1' }, bob)).toMatchObject({
      status: 409,
      body: { code: 'hold_closed' },
    });
    expect(await accounting.balance(bob)).toEqual({ available: 75, held: 0 });
  });

  it('answer 402 and 404 with a code', async () => {
    const bob = await accounting.user();
    expect(await session('initialize', { sessionId: 's2', modelId: 'priced', estimatedTokens: 1 }, bob)).toMatchObject({
      status: 402,
    });
    expect(await session('abort', { sessionId: 's2' }, bob)).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    });
  });

  it('have a label of their own in the namespace of each user', async () => {
    const [bob, carol] = [await accounting.user({ credits: 10 }), await accounting.user({ credits: 10 })];
    for (const user of [bob, carol]) {
      expect(
        await session('initialize', { sessionId: 'same', modelId: 'priced', estimatedTokens: 5 }, user),
      ).toMatchObject({ status: 201 });
    }
    expect(await session('abort', { sessionId: 'same', tokensGenerated: 2 }, bob)).toMatchObject({
      body: { partialCredits: 2, refund: 3 },
    });
    expect(await accounting.balance(carol)).toEqual({ available: 5, held: 5 });
  });

  it('end one way when finalize and abort race, and give nothing back twice', async () => {
    const bob = await accounting.user({ credits: 10 });
    await session('initialize', { sessionId: 'race', modelId: 'priced', estimatedTokens: 10 }, bob);
    const answers = await Promise.all([
      session('finalize', { sessionId: 'race', actualTokens: 4 }, bob),
      session('abort', { sessionId: 'race', tokensGenerated: 4 }, bob),
      session('abort', { sessionId: 'race', tokensGenerated: 4 }, bob),
    ]);
    expect(answers.map(({ status }) => status).sort(ascending)).toEqual([200, 409, 409]);
    expect(await accounting.balance(bob)).toEqual({ available: 6, held: 0 });
  });

  it('are listed for staff: all of them, of a user, of the last minutes', async () => {
    const [admin, supervisor] = [
      await accounting.user({ role: 'admin' }),
      await accounting.user({ role: 'supervisor' }),
    ];
    const read = (path: string, by: User) =>
      accounting.call('GET', `/api/streaming-sessions/${path}`, { token: by.token });
    expect((await read('active/all', admin)).body).toBeInstanceOf(Array);
    expect((await read(`active/${alice.userId}`, supervisor)).body).toEqual([]);
    expect((await read('recent?minutes=9', supervisor)).body).toMatchObject({ filter: { minutes: 9 } });
    expect((await read(`recent/${alice.userId}`, supervisor)).body).toMatchObject({
      filter: { minutes: 5, userId: alice.userId },
    });
  });
});

describe('usage', () => {
  it('is recorded by a service and summed by service, day and model', async () => {
    const bob = await accounting.user({ credits: 100 });
    const supervisor = await accounting.user({ role: 'supervisor' });
    const holdId = await accounting.held(bob, 10);
    await accounting.settle(bob, holdId, 6);
    const record = { service: 'images', operation: 'draw', credits: 5, metadata: { model: 'painter' } };
    const key = randomUUID();
    const first = await accounting.proxy('POST', '/api/usage/record', bob, { body: record, key });
    expect(first).toMatchObject({ status: 201, body: { service: 'images', operation: 'draw', credits: 5 } });
    expect((await accounting.proxy('POST', '/api/usage/record', bob, { body: record, key })).body).toEqual(first.body);
    const day = String(first.body['timestamp']).slice(0, 10);
    const sums = {
      totalRecords: 2,
      totalCredits: 11,
      byService: { 'chat-proxy': 6, images: 5 },
      byDay: { [day]: 11 },
      byModel: { priced: 6, painter: 5 },
    };
    const own = await accounting.call('GET', `/api/usage/stats?startDate=${day}&endDate=${day}`, { token: bob.token });
    expect(own.body).toMatchObject(sums);
    expect(own.body['recentActivity']).toMatchObject([
      { service: 'images' },
      { holdId, credits: 6, model: 'priced', outputTokens: 6, outcome: 'completed' },
    ]);
    const seen = await accounting.call('GET', `/api/usage/stats/${bob.userId}`, { token: supervisor.token });
    expect(seen.body).toMatchObject(sums);
  });

  it('of everybody is for admins and names users', async () => {
    const admin = await accounting.user({ role: 'admin' });
    const answer = await accounting.call('GET', '/api/usage/system-stats', { token: admin.token });
    expect(answer).toMatchObject({ status: 200, body: { byUser: expect.any(Object) } });
  });
});
