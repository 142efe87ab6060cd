import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ROLES, type UserId } from '@tollgate/contracts';
import { AppError, type Caller, createAuthenticator, drawKey, drawKeyId, serve } from '../../src/index.ts';
import {
  ADAPTERS,
  alice,
  authenticatorOptions,
  bearer,
  call,
  type Running,
  serviceToken,
  start,
  stopAll,
  userToken,
} from '../kit.ts';
import { makeThing, payThing, ping, readThing } from '../operations.ts';

afterAll(stopAll);

const draw = (below: number) => randomInt(below);
const newKey = () => drawKey(drawKeyId(draw), draw);
const [key, other, unknown, lost] = [newKey(), newKey(), newKey(), newKey()];
const asked: { key: string; ip: string | undefined }[] = [];

const authenticate = createAuthenticator({
  ...authenticatorOptions,
  async verifyKey(sent, ip) {
    asked.push({ key: sent, ip });
    if (sent === lost) throw new AppError('DEPENDENCY_UNAVAILABLE');
    if (sent === unknown) return undefined;
    return {
      kind: 'user',
      userId: alice as UserId,
      username: 'alice',
      email: 'alice@example.test',
      role: ROLES[0],
      apiKey: { id: 'k1', scopes: sent === key ? [makeThing.permission] : [] },
      issuedAt: 1,
      expiresAt: 2,
    };
  },
});

describe.each(ADAPTERS)('%s', (_name, adapter) => {
  let service: Running;
  let seen: Caller | undefined;
  beforeAll(async () => {
    service = await start(adapter, {
      authenticate,
      routes: [
        serve(makeThing).with(async (_input, caller) => {
          seen = caller;
          return { id: caller.userId, name: caller.username };
        }),
        serve(readThing).with(async (_input, caller) => ({ id: caller.userId, name: caller.username })),
        serve(payThing).with(async (_input, caller, { idempotencyKey = '' }) => {
          seen = caller;
          return { payer: caller.onBehalfOf?.userId ?? 'nobody', service: caller.service, key: idempotencyKey };
        }),
        serve(ping).with(async () => ({ pong: 'pong' })),
      ],
    });
  });

  const make = (headers: Record<string, string>, path = '/api/things') =>
    call(service, `POST ${path}`, { headers, body: { name: 'lamp' } });

  it.each([
    ['Authorization', bearer(key)],
    ['Authorization in small letters', { authorization: `bearer ${key}` }],
    ['X-API-Key', { 'x-api-key': key }],
    ['api-key', { 'api-key': key }],
    ['several of them', { ...bearer(key), 'x-api-key': key, 'api-key': key }],
    ['X-API-Key beside a cookie', { 'x-api-key': key, cookie: `accessToken=${userToken('admin')}` }],
  ])('takes a key in %s for the same caller', async (_where, headers) => {
    expect((await make(headers)).status).toBe(201);
    expect(seen).toMatchObject({ userId: alice, apiKey: { id: 'k1' }, token: key });
    expect(asked.at(-1)).toMatchObject({ key, ip: expect.stringMatching(/127\.0\.0\.1$/) });
  });

  it.each([
    ['a key and another key', { 'x-api-key': key, 'api-key': other }],
    ['a key and a token', { 'x-api-key': key, ...bearer(userToken()) }],
    ['a token and nothing', { 'x-api-key': '', ...bearer(userToken()) }],
  ])('refuses %s at once with 400: nobody guesses which was meant', async (_what, headers) => {
    const answer = await make(headers);
    expect(answer.json).toMatchObject({ status: 400, code: 'validation_failed' });
  });

  it.each([
    ['nobody knows', { 'x-api-key': unknown }],
    ['is mistyped', bearer(`${key.slice(0, -1)}${key.endsWith('a') ? 'b' : 'a'}`)],
    ['is cut', { 'api-key': key.slice(0, 30) }],
    ['is empty', { 'x-api-key': '' }],
    ['is a token', { 'x-api-key': userToken('admin') }],
    ['comes twice', { 'x-api-key': `${key}, ${key}` }],
    ['is too long', bearer(`tg_${'a'.repeat(9000)}`)],
  ])('refuses a key that %s with 401, whatever cookie comes with it', async (_what, headers) => {
    const answer = await make({ ...headers, cookie: `accessToken=${userToken()}`, origin: 'https://app.example.test' });
    expect(answer.json).toMatchObject({ status: 401, code: 'invalid_token' });
    expect(answer.headers['www-authenticate']).toBe('Bearer error="invalid_token"');
  });

  it('asks nobody about a key that is not whole', async () => {
    const before = asked.length;
    await make({ 'x-api-key': 'tg_nonsense' });
    await make(bearer(key.slice(0, -1)));
    expect(asked).toHaveLength(before);
  });

  it('says 503 and not 401 when nobody knows whether a key is good', async () => {
    expect((await make({ 'x-api-key': lost })).json).toMatchObject({ status: 503, code: 'dependency_unavailable' });
  });

  it('lets a key do what its scopes name and its role allows, and nothing else', async () => {
    const answer = await make(bearer(other));
    expect(answer.json).toMatchObject({ status: 403, code: 'insufficient_scope' });
    expect(answer.headers['www-authenticate']).toBe(
      `Bearer error="insufficient_scope", scope="${makeThing.permission}"`,
    );
    const pay = { headers: { 'idempotency-key': 'k1', 'x-api-key': key }, body: { amount: 1 } };
    expect((await call(service, 'POST /api/payments', pay)).json).toMatchObject({ code: 'service_token_required' });
  });

  it('takes a key for the user a service acts for, and does not take the service’s address for the user’s', async () => {
    for (const value of [key, `Bearer ${key}`]) {
      const headers = { ...bearer(serviceToken()), 'x-on-behalf-of': value, 'idempotency-key': 'k1' };
      expect((await call(service, 'POST /api/payments', { headers, body: { amount: 1 } })).json['payer']).toBe(alice);
      expect(seen).toMatchObject({ onBehalfOf: { user: { apiKey: { id: 'k1' }, token: key } } });
      expect(asked.at(-1)).toEqual({ key, ip: undefined });
    }
    const headers = { ...bearer(serviceToken()), 'x-on-behalf-of': unknown, 'idempotency-key': 'k1' };
    expect((await call(service, 'POST /api/payments', { headers, body: { amount: 1 } })).status).toBe(401);
  });

  it.each([
    `api_key=${key}`,
    `apikey=${key}`,
    `API-Key=${key}`,
    `key=tg_x`,
    `token=${key}`,
    `access_token=Bearer%20${key}`,
    `x=1&access_token=${key}`,
    `anything=${key}`,
    `%61pi_key=%74g_abc`,
    `q=see+${key}`,
  ])('refuses the address ?%s on every route, before anything else, and repeats nothing of it', async (query) => {
    const before = asked.length;
    for (const line of ['GET /api/ping', 'GET /health', 'GET /nowhere', 'POST /api/things', 'GET /openapi.json']) {
      const answer = await call(service, `${line}?${query}`, { headers: line.startsWith('POST') ? bearer(key) : {} });
      expect(answer.json).toMatchObject({ status: 400, code: 'validation_failed' });
      expect(answer.text).not.toContain('tg_');
      expect(answer.headers['x-request-id']).toBeDefined();
    }
    expect(asked).toHaveLength(before);
    expect(JSON.stringify([service.logger.lines, service.observed])).not.toContain(key.slice(0, 10));
  });

  it('lets harmless addresses pass', async () => {
    for (const query of ['token=abc', 'key=1', 'q=tg_', 'q=tg_short', ''])
      expect((await call(service, `GET ${ping.path}?${query}`)).status).not.toBe(401);
    expect((await call(service, `GET ${ping.path}`)).status).toBe(200);
  });
});
