import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createClient } from '../../src/client.ts';
import { reply, requestContext, serve } from '../../src/index.ts';
import { ADAPTERS, alice, call, serviceToken, start, stopAll, userToken, within } from '../kit.ts';
import {
  closeLater,
  json,
  leaveNeighbours,
  neighbour,
  operations,
  paid,
  payment,
  pong,
  problem,
  refusalOf,
  type Script,
} from './neighbour.ts';
import { echo, payThing } from '../operations.ts';

afterEach(leaveNeighbours);
afterEach(stopAll);

describe('A call to a neighbour', () => {
  it('sends what the operation names and drops what the answer has beyond it', async () => {
    const { client, visits } = await neighbour(json(200, { id: alice, name: 'lamp', passwordHash: 'x' }), {
      token: serviceToken,
    });
    const read = client.readThing({ params: { id: alice }, query: { view: 'long' } } as never, { onBehalfOf: alice });
    await expect(read).resolves.toEqual({ id: alice, name: 'lamp' });
    expect(visits).toHaveLength(1);
    expect(visits[0]).toMatchObject({
      line: `GET /api/things/${alice}?view=long`,
      body: '',
      headers: { authorization: `Bearer ${serviceToken()}`, 'x-on-behalf-of': alice, accept: 'application/json' },
    });
    expect(visits[0]?.headers['content-type']).toBeUndefined();
  });

  it('prefers the token it brings and carries body, key and the id of the request it belongs to', async () => {
    const { client, visits } = await neighbour(paid, { token: async () => 'own' });
    await requestContext.run({ requestId: 'request-0042' }, () =>
      client.payThing(payment, { token: 'other', idempotencyKey: 'k1' }),
    );
    expect(visits[0]).toMatchObject({
      line: 'POST /api/payments',
      body: '{"amount":5}',
      headers: {
        authorization: 'Bearer other',
        'idempotency-key': 'k1',
        'x-request-id': 'request-0042',
        'content-type': 'application/json',
      },
    });
  });

  it.each(['', '/', '/api', '/api/'])('finds the neighbour by a base URL that ends in "%s"', async (suffix) => {
    const { visits, port } = await neighbour(pong);
    const client = createClient(operations, { baseUrl: `http://127.0.0.1:${port}${suffix}`, timeoutMs: 1000 });
    closeLater(() => client.close());
    await expect(client.ping()).resolves.toEqual({ pong: 'pong' });
    expect(visits[0]?.line).toBe('GET /api/ping');
  });

  it('encodes parameters and never climbs out of its operation', async () => {
    const { client, visits } = await neighbour(json(200, { id: 'x', name: 'y' }));
    await client.readThing({ params: { id: 'a/../b?c#d' }, query: {} } as never);
    expect(visits[0]?.line).toBe('GET /api/things/a%2F..%2Fb%3Fc%23d');
    for (const id of ['.', '..', ''])
      expect(await refusalOf(client.readThing({ params: { id }, query: {} } as never))).toMatchObject({
        code: 'NOT_FOUND',
      });
    expect(visits).toHaveLength(1);
  });

  it('accepts an empty answer where the contract has none', async () => {
    const { client } = await neighbour((response) => response.writeHead(204).end());
    await expect(client.removeThing({ params: { id: alice } } as never)).resolves.toBeUndefined();
  });
});

describe('A refusal of a neighbour', () => {
  it('passes when the operation lists it, with its sentence and when to come back', async () => {
    const { client, visits } = await neighbour(
      json(402, { code: 'insufficient_credits', detail: 'Only 3 left' }, { 'retry-after': '9' }),
    );
    const refusal = await refusalOf(client.payThing(payment, { idempotencyKey: 'k1' }));
    expect(refusal).toMatchObject({
      code: 'INSUFFICIENT_CREDITS',
      status: 402,
      detail: 'Only 3 left',
      headers: { 'retry-after': '9' },
    });
    expect(visits).toHaveLength(1);
  });

  it('passes with the limit it names and the RateLimit headers, and with nothing else the neighbour has added', async () => {
    const limit = { scope: 'user', window: 'day', limit: 50, resetsAt: '2030-01-02T00:00:00.000Z' };
    const { client } = await neighbour(
      json(
        402,
        { code: 'insufficient_credits', detail: 'Spent', ...limit, hold: { secret: 1 } },
        {
          'retry-after': '9',
          ratelimit: '"day";r=0;t=9',
          'ratelimit-policy': '"day";q=50;w=86400',
          'set-cookie': 'a=b',
        },
      ),
    );
    const refusal = await refusalOf(client.payThing(payment, { idempotencyKey: 'k1' }));
    expect(refusal.headers).toEqual({
      'retry-after': '9',
      ratelimit: '"day";r=0;t=9',
      'ratelimit-policy': '"day";q=50;w=86400',
    });
    expect(refusal.extra).toEqual(limit);
  });

  it('passes without details that are no limit', async () => {
    const { client } = await neighbour(json(402, { code: 'insufficient_credits', limit: 'none', scope: {} }));
    const refusal = await refusalOf(client.payThing(payment, { idempotencyKey: 'k1' }));
    expect([refusal.code, refusal.extra]).toEqual(['INSUFFICIENT_CREDITS', {}]);
  });

  it('passes when the operation lists a 5xx as well', async () => {
    const { client } = await neighbour(problem(503, 'accounting_unavailable'), {
      onUnavailable: 'DEPENDENCY_UNAVAILABLE',
    });
    expect(await refusalOf(client.payThing(payment, { idempotencyKey: 'k1' }))).toMatchObject({
      code: 'ACCOUNTING_UNAVAILABLE',
    });
  });

  it.each([
    [403, 'forbidden', 'FORBIDDEN'],
    [404, 'not_found', 'NOT_FOUND'],
    [429, 'rate_limited', 'RATE_LIMITED'],
    [422, 'invalid_amount', 'INVALID_AMOUNT'],
    [400, 'validation_failed', 'VALIDATION_FAILED'],
  ])('passes when it concerns the caller (%i %s)', async (status, wire, code) => {
    const { client, visits } = await neighbour(problem(status, wire));
    expect(await refusalOf(client.ping())).toMatchObject({ code, detail: 'a sentence' });
    expect(visits).toHaveLength(1);
  });

  it('of the credential passes only when that credential was the user’s', async () => {
    const { client } = await neighbour(problem(401, 'invalid_token'), { token: serviceToken });
    expect(await refusalOf(client.ping(undefined, { token: userToken() }))).toMatchObject({ code: 'INVALID_TOKEN' });
    expect(await refusalOf(client.ping(undefined, { onBehalfOf: userToken() }))).toMatchObject({
      code: 'INVALID_TOKEN',
    });
    for (const options of [{}, { onBehalfOf: alice }])
      expect(await refusalOf(client.ping(undefined, options))).toMatchObject({ code: 'INTERNAL', status: 500 });
  });

  it('of our own service token is never the user’s, whose credential was sent along', async () => {
    const challenge = { 'www-authenticate': 'Bearer realm="service", error="invalid_token"' };
    const { client } = await neighbour(json(401, { status: 401, code: 'invalid_token' }, challenge), {
      token: serviceToken,
    });
    for (const onBehalfOf of [userToken(), alice])
      expect(await refusalOf(client.ping(undefined, { onBehalfOf }))).toMatchObject({ code: 'INTERNAL', status: 500 });
  });

  it.each([
    ['not listed', problem(409, 'hold_closed')],
    ['unknown', problem(418, 'teapot')],
    ['no problem document', json(400, 'nope')],
  ])('that is %s is our failure, tried once and explained only in the log', async (_what, script) => {
    const { client, visits } = await neighbour(script);
    const refusal = await refusalOf(client.ping());
    expect(['INTERNAL', 'DEPENDENCY_UNAVAILABLE']).toContain(refusal.code);
    expect(refusal.status).toBeGreaterThanOrEqual(500);
    expect(visits.length).toBeLessThanOrEqual(2);
  });

  it('with a 4xx is never asked again', async () => {
    const { client, visits } = await neighbour(problem(409, 'hold_closed'));
    await refusalOf(client.ping());
    await refusalOf(client.payThing(payment, { idempotencyKey: 'k1' }));
    expect(visits).toHaveLength(2);
  });
});

describe('An answer against the contract', () => {
  it.each([
    ['lacks a field', json(200, {})],
    ['has a field of another type', json(200, { pong: 1 })],
    ['is a list', json(200, [])],
    ['is empty', json(200, '')],
    ['is no JSON', json(200, '<html>')],
    [
      'is cut short',
      (response: ServerResponse) => response.writeHead(200, { 'content-length': '50' }).end('{"pong":"p'),
    ],
    ['points elsewhere', json(302, '', { location: 'http://127.0.0.1:1/' })],
    [
      'has no end',
      (response: ServerResponse) => response.writeHead(200).end(`{"pong":"${'x'.repeat(9 * 1024 * 1024)}"}`),
    ],
  ])('that %s makes the neighbour unavailable', async (_what, script) => {
    const { client } = await neighbour(script as Script);
    const refusal = await refusalOf(client.ping());
    expect(refusal).toMatchObject({ code: 'DEPENDENCY_UNAVAILABLE', headers: { 'retry-after': '2' } });
  });
});

it('A closed client has freed its sockets', async () => {
  const { client, server } = await neighbour(pong);
  await Promise.all([client.ping(), client.ping(), client.ping()]);
  await client.close();
  const { promise, resolve } = Promise.withResolvers<number>();
  const look = (): void => {
    server.getConnections((_error, count) => {
      if (count === 0) resolve(count);
      else setImmediate(look);
    });
  };
  look();
  expect(await within(15_000, promise)).toBe(0);
});

it.each(ADAPTERS)(
  'From one service to the next (%s) the user, the key and the id of the request stay the same',
  async (_name, adapter) => {
    const far = await start(adapter, {
      routes: [
        serve(payThing).with(async (_input, caller, { idempotencyKey = '', requestId }) =>
          reply(200, { payer: caller.onBehalfOf?.userId ?? '', service: requestId, key: idempotencyKey }),
        ),
      ],
    });
    const client = createClient({ payThing }, { baseUrl: far.url, timeoutMs: 2000, token: serviceToken });
    closeLater(() => client.close());
    const near = await start(adapter, {
      routes: [
        serve(echo).with(async () => ({
          sent: await client.payThing(payment, { idempotencyKey: 'k9', onBehalfOf: userToken() }),
        })),
      ],
    });
    const answer = await call(near, 'POST /api/echo', {
      headers: { 'x-request-id': 'request-0777' },
      body: { long: 'x'.repeat(9000) },
    });
    expect(answer.json).toEqual({ sent: { payer: alice, service: 'request-0777', key: 'k9' } });
  },
);
