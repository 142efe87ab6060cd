import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AppError, serve } from '../src/index.ts';
import { expectProblem } from './expect-problem.ts';
import { ADAPTERS, alice, bearer, call, type Running, serviceToken, start, stopAll, userToken, wire } from './kit.ts';
import { echo, makeThing, payThing, readThing, removeThing, replaceThing } from './operations.ts';

afterAll(stopAll);

describe.each(ADAPTERS)('%s refuses', (_name, adapter) => {
  let service: Running;
  let reached: unknown[];
  const headers = bearer(userToken());

  beforeAll(async () => {
    service = await start(adapter, {
      routes: [
        serve(makeThing).with(async ({ body }) => {
          reached.push(body);
          return { id: alice, name: body.name };
        }),
        serve(readThing).with(async ({ params, query }) => {
          reached.push({ params, query });
          throw new AppError('NOT_FOUND', 'There is no such thing');
        }),
        serve(replaceThing).with(async ({ body }) => ({ id: alice, name: body.name })),
        serve(removeThing).with(async () => undefined),
        serve(payThing).with(async ({ body }, caller, { idempotencyKey = '' }) => {
          reached.push(body);
          return { payer: caller.onBehalfOf?.userId ?? '', service: caller.service, key: idempotencyKey };
        }),
        serve(echo).with(async ({ body }) => {
          reached.push(body);
          return { sent: body };
        }),
      ],
    });
  });

  beforeEach(() => {
    reached = [];
  });

  it('what the contract does not name, field by field, without repeating long input', async () => {
    const unknown = await call(service, 'POST /api/things', {
      headers,
      body: { name: 7, role: 'admin', ['x'.repeat(3000)]: 1 },
    });
    expectProblem(unknown, 'VALIDATION_FAILED');
    const faults = unknown.json['errors'] as { path: string; message: string }[];
    expect(faults[0]?.path).toBe('name');
    expect(faults.length).toBe(2);
    expect(unknown.text.length).toBeLessThan(1500);
    expect(reached).toEqual([]);
  });

  it('wrong amounts with 422 and what is no number with 400', async () => {
    for (const amount of ['0', '-1', '-0', '1.5', '1e10', '9007199254740993', '2147483648'])
      expectProblem(
        await call(service, 'POST /api/things', { headers, body: `{"name":"n","amount":${amount}}` }),
        'INVALID_AMOUNT',
      );
    for (const amount of ['"10"', 'true', 'null', '[5]', '{"x":1}', '1e309'])
      expectProblem(
        await call(service, 'POST /api/things', { headers, body: `{"name":"n","amount":${amount}}` }),
        'VALIDATION_FAILED',
      );
    const both = await call(service, 'POST /api/things', { headers, body: { name: 5, amount: 0 } });
    expectProblem(both, 'VALIDATION_FAILED');
    expect(reached).toEqual([]);
  });

  it('parameters and queries outside the contract, and repeated ones', async () => {
    for (const path of [
      '/api/things/NOT-AN-ID',
      `/api/things/${alice}?view=other`,
      `/api/things/${alice}?view=short&view=long`,
    ])
      expectProblem(await call(service, `GET ${path}`, { headers }), 'VALIDATION_FAILED');
    for (const query of ['view[]=long', 'view[$ne]=x', '__proto__=long', 'limit=1', 'view=%00', '__proto__[view]=long'])
      expectProblem(await call(service, `GET /api/things/${alice}?${query}`, { headers }), 'VALIDATION_FAILED');
    expect(reached).toEqual([]);
  });

  it('with the sentence of the handler for a 4xx', async () => {
    const missing = await call(service, `GET /api/things/${alice}?view=long`, { headers });
    expectProblem(missing, 'NOT_FOUND');
    expect(missing.json['detail']).toBe('There is no such thing');
    expect(reached).toEqual([{ params: { id: alice }, query: { view: 'long' } }]);
  });

  it('a missing or impossible Idempotency-Key where money moves', async () => {
    const paying = bearer(serviceToken());
    const body = { amount: 5 };
    expectProblem(await call(service, 'POST /api/payments', { headers: paying, body }), 'IDEMPOTENCY_KEY_REQUIRED');
    for (const key of ['', 'k'.repeat(256), 'schlüssel'])
      expectProblem(
        await call(service, 'POST /api/payments', {
          headers: { ...paying, 'idempotency-key': Buffer.from(key).toString('latin1') },
          body,
        }),
        'VALIDATION_FAILED',
      );
    expect(reached).toEqual([]);
    const paid = await call(service, 'POST /api/payments', {
      headers: { ...paying, 'idempotency-key': 'k'.repeat(255) },
      body,
    });
    expect(paid.json['key']).toBe('k'.repeat(255));
    expectProblem(
      await call(service, 'POST /api/echo', { headers: { 'idempotency-key': 'k'.repeat(256) }, body: 1 }),
      'VALIDATION_FAILED',
    );
  });

  it('methods that a path does not have, naming those it has', async () => {
    const wrong = await call(service, `PATCH /api/things/${alice}`, { headers, body: {} });
    expectProblem(wrong, 'METHOD_NOT_ALLOWED');
    expect(wrong.headers['allow']).toBe('GET, HEAD, PUT, DELETE');
    const trace = await call(service, 'TRACE /api/things');
    expectProblem(trace, 'METHOD_NOT_ALLOWED');
    expect(trace.headers['allow']).toBe('POST');
    expect((await call(service, 'PROPFIND /api/things')).status).toBe(405);
    expect((await call(service, 'POST /health', { body: {} })).headers['allow']).toBe('GET, HEAD');
  });

  it.each([
    '/',
    '/api',
    '/api/nothing',
    '/api/things/a/b',
    '//api/things',
    '/api/./things',
    '/api/things;x',
    '/API/things',
    '/api/things.',
    '/api/things/',
    '/health/',
  ])('the unknown path %s', async (path) => {
    const { until, socket } = wire(service.port, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(await until('"code":"not_found"')).toMatch(/^HTTP\/1\.1 404 /);
    socket.destroy();
  });

  it.each(['/%zz', '/api/things/%c0%af', '/api/things/%'])(
    'the undecodable path %s, with every header',
    async (path) => {
      const answer = await call(service, `GET ${path}`, { headers });
      expectProblem(answer, 'VALIDATION_FAILED');
      expect(answer.headers['x-content-type-options']).toBe('nosniff');
    },
  );

  it('no other spelling of a path without the same caller', async () => {
    for (const path of ['/api/%74hings', '/%61pi/things', '/api/things/', '/api//things', '/api/../api/things'])
      expect([401, 404]).toContain((await call(service, `POST ${path}`, { body: { name: 'a' } })).status);
    expect(reached).toEqual([]);
  });

  it('a parameter of 8,000 characters by its contract and not by the router', async () => {
    expectProblem(await call(service, `GET /api/things/${'a'.repeat(8_000)}`, { headers }), 'VALIDATION_FAILED');
  });
});
