import { randomInt } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { drawKey, drawKeyId } from '@tollgate/http-kit';
import { Accounting, type User } from '../harness/accounting.ts';

const draw = (below: number) => randomInt(below);
const newKeyId = () => drawKeyId(draw);

/** Auth, as far as accounting asks it: what it says of each key, and how often it was asked. */
const known = new Map<string, Record<string, unknown>>();
const revocations: Record<string, unknown>[] = [];
let lookups = 0;
let isAway = false;
const auth = createServer(async (request, response) => {
  const [status, body] = isAway ? [503, {}] : await answerOf(request);
  response.writeHead(status as number, { 'content-type': 'application/json' }).end(JSON.stringify(body));
});

async function answerOf(request: IncomingMessage): Promise<[number, object]> {
  if (request.url?.startsWith('/api/internal/revocations'))
    return [200, { revocations, nextCursor: null, now: Date.now() }];
  if (request.method === 'GET') return [200, { memberships: [], nextCursor: null, now: Date.now() }];
  lookups += 1;
  const { key } = JSON.parse(await text(request)) as { key: string };
  const found = known.get(key);
  return found ? [200, { ...found, verifiedAt: new Date().toISOString() }] : [404, { code: 'not_found' }];
}

let accounting: Accounting;
beforeAll(async () => {
  await new Promise<void>((resolve) => void auth.listen(0, '127.0.0.1', resolve));
  const { port } = Object(auth.address()) as { port: number };
  accounting = await Accounting.start({ AUTH_API_URL: `http://127.0.0.1:${port}`, REVOCATIONS_POLL: '50ms' });
  await accounting.first.deps.start();
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
  auth.closeAllConnections();
  auth.close();
});

/** A key of a user, as auth would know it. The user's token is the key from then on. */
function withKey(user: User, scopes: string[], keyId = newKeyId()): User & { keyId: string } {
  const key = drawKey(keyId, draw);
  known.set(key, {
    keyId,
    user: { id: user.userId, username: `u-${user.userId}`, email: `${user.userId}@example.test`, role: user.role },
    workspaceId: 'default',
    workspaceRole: user.role,
    scopes,
    limits: null,
    expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    version: 1,
  });
  return { ...user, token: key, keyId };
}

const readBalance = (headers: Record<string, string>) => accounting.call('GET', '/api/credits/balance', { headers });

async function setLimits(keyId: string, revision: number, limits: object) {
  const token = await accounting.tokens.service('auth', 'accounting');
  return accounting.call('PUT', `/api/internal/keys/${keyId}/limits`, { token, body: { revision, limits } });
}

const limitsOf = async (keyId: string) => {
  const { rows } = await accounting.db.query(
    `SELECT measure, "window", amount::int FROM limits WHERE scope = 'key' AND subject = $1 AND ended_at IS NULL ORDER BY 1, 2`,
    [keyId],
  );
  return rows.map(({ measure, window, amount }) => `${measure}/${window}: ${amount}`);
};

describe('a key', () => {
  it('reads through every header what its owner reads, is asked about once, and does what its scopes name', async () => {
    const alice = withKey(await accounting.user({ credits: 70 }), ['credits:read-own']);
    const before = lookups;
    const answers = await Promise.all(
      [{ authorization: `Bearer ${alice.token}` }, { 'x-api-key': alice.token }, { 'api-key': alice.token }].map(
        (headers) => readBalance(headers as Record<string, string>),
      ),
    );
    for (const { status, body } of answers) expect([status, body]).toEqual([200, answers[0]?.body]);
    expect(answers[0]?.body['totalCredits']).toBe(70);
    expect(lookups).toBe(before + 1);
    for (const [method, path, code] of [
      ['GET', '/api/usage/stats', 'insufficient_scope'],
      ['POST', '/api/credits/deduct', 'insufficient_scope'],
      ['POST', '/api/holds', 'service_token_required'],
      ['POST', '/api/credits/allocate', 'forbidden'],
    ] as const)
      expect(await accounting.call(method, path, { token: alice.token })).toMatchObject({
        status: 403,
        body: { code },
      });
  });

  it('that auth does not know is refused, and one of which nobody knows gets 503', async () => {
    expect((await readBalance({ 'x-api-key': drawKey(newKeyId(), draw) })).status).toBe(401);
    const warm = withKey(await accounting.user(), ['credits:read-own']);
    await readBalance({ 'x-api-key': warm.token });
    isAway = true;
    try {
      expect((await readBalance({ 'x-api-key': warm.token })).status).toBe(200);
      const cold = withKey(await accounting.user(), ['credits:read-own']);
      expect(await readBalance({ 'x-api-key': cold.token })).toMatchObject({
        status: 503,
        body: { code: 'dependency_unavailable' },
      });
    } finally {
      isAway = false;
    }
  });

  it('that is revoked is refused although it was remembered, and one that still counts is asked about again', async () => {
    const alice = withKey(await accounting.user(), ['credits:read-own']);
    const bob = withKey(await accounting.user(), ['credits:read-own']);
    for (const { token } of [alice, bob]) expect((await readBalance({ 'x-api-key': token })).status).toBe(200);
    known.delete(alice.token);
    const before = lookups;
    for (const { keyId } of [alice, bob])
      revocations.push({ kind: 'key', id: `key:${keyId}`, keyId, madeAt: Date.now(), reason: 'key-revoked' });
    while ((await readBalance({ 'x-api-key': alice.token })).status !== 401);
    expect((await readBalance({ 'x-api-key': bob.token })).status).toBe(200);
    expect(lookups).toBe(before + 2);
  });
});

describe('the limits of a key', () => {
  it('are replaced as a whole, may be told twice, and never by a call that comes late', async () => {
    const keyId = newKeyId();
    const full = { requestsPerMinute: 5, tokensPerMinute: 1000, parallel: 2, credits: { amount: 50, window: 'day' } };
    expect((await setLimits(keyId, 1, full)).body).toEqual({ keyId, revision: 1, limits: full });
    const rows = ['credits/day: 50', 'parallel/never: 2', 'requests/minute: 5', 'tokens/minute: 1000'];
    expect(await limitsOf(keyId)).toEqual(rows);
    expect((await setLimits(keyId, 1, full)).status).toBe(200);
    expect(await limitsOf(keyId)).toEqual(rows);

    expect((await setLimits(keyId, 3, { requestsPerMinute: 9, credits: { amount: 7, window: 'never' } })).status).toBe(
      200,
    );
    expect(await limitsOf(keyId)).toEqual(['credits/never: 7', 'requests/minute: 9']);
    expect(await setLimits(keyId, 2, full)).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(await limitsOf(keyId)).toEqual(['credits/never: 7', 'requests/minute: 9']);
    expect((await setLimits(keyId, 4, {})).status).toBe(200);
    expect(await limitsOf(keyId)).toEqual([]);
  });

  it('are those of the newest revision after 50 calls at the same time', async () => {
    const keyId = newKeyId();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => setLimits(keyId, index, { parallel: index + 1 })),
    );
    expect(answers.filter(({ status }) => status !== 200 && status !== 409)).toEqual([]);
    expect(await limitsOf(keyId)).toEqual(['parallel/never: 50']);
  });

  it('do not touch what an administrator has set', async () => {
    const keyId = newKeyId();
    const admin = await accounting.user({ role: 'admin' });
    const limit = { scope: 'key', subject: keyId, measure: 'requests', window: 'minute', amount: 1 };
    accounting.expect(201, await accounting.call('POST', '/api/limits', { token: admin.token, body: limit }));
    expect((await setLimits(keyId, 1, { requestsPerMinute: 100 })).status).toBe(409);
    expect((await setLimits(keyId, 2, { parallel: 3 })).status).toBe(200);
    expect((await setLimits(keyId, 3, {})).status).toBe(200);
    expect(await limitsOf(keyId)).toEqual(['requests/minute: 1']);
  });

  it.each([
    ['nothing', {}],
    ['no revision', { limits: {} }],
    ['a limit of 0', { revision: 1, limits: { parallel: 0 } }],
    ['text', { revision: 1, limits: { requestsPerMinute: '5' } }],
    ['another kind', { revision: 1, limits: { requestsPerDay: 5 } }],
    ['an endless window', { revision: 1, limits: { credits: { amount: 1, window: 'minute' } } }],
  ])('refuse %s', async (_what, body) => {
    const token = await accounting.tokens.service('auth', 'accounting');
    const answer = await accounting.call('PUT', `/api/internal/keys/${newKeyId()}/limits`, { token, body });
    expect(answer.status).toBe(400);
  });

  it('bound what is held with the key that the user’s credential is, whatever the service says beside it', async () => {
    const person = await accounting.user({ credits: 100 });
    const alice = withKey(person, ['chat:use', 'limits:read-own']);
    await setLimits(alice.keyId, 1, { parallel: 2, credits: { amount: 30, window: 'never' } });
    const first = accounting.expect(201, await accounting.hold(alice, { output: 10 }));
    const limits = await accounting.call('GET', '/api/credits/limits', { token: alice.token });
    expect(limits.body['limits']).toMatchObject([
      { scope: 'key', measure: 'credits', window: 'never', amount: 30, reserved: 10, remaining: 20 },
      { scope: 'key', measure: 'parallel', window: 'never', amount: 2, reserved: 1 },
    ]);
    expect(await accounting.hold(alice, { output: 21 })).toMatchObject({
      status: 402,
      body: { code: 'budget_exceeded', scope: 'key' },
    });
    accounting.expect(201, await accounting.hold(alice, { output: 5 }, { apiKeyId: 'another' }));
    const refused = await accounting.hold(alice, { output: 1 });
    expect(refused).toMatchObject({ status: 429, body: { code: 'parallel_limit', scope: 'key', measure: 'parallel' } });
    // The owner without the key is not bound by it.
    accounting.expect(201, await accounting.hold(person, { output: 1 }));
    expect(
      await accounting.number('SELECT count(*) AS value FROM streaming_sessions WHERE api_key_id = $1', [alice.keyId]),
    ).toBe(2);
    accounting.expect(200, await accounting.settle(alice, first.body['holdId'], 10));
  });
});
