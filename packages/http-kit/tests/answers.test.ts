import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { reply, requestContext, serve } from '../src/index.ts';
import { ADAPTERS, alice, bearer, call, eventually, type Running, start, stopAll, userToken } from './kit.ts';
import { echo, makeThing, ping, readThing, removeThing } from './operations.ts';

afterAll(stopAll);

const stored = { id: alice, name: 'lamp', passwordHash: 'never shown', owner: { email: 'bob@example.test' } };

describe.each(ADAPTERS)('%s answers', (_name, adapter) => {
  let service: Running;
  const headers = bearer(userToken());

  beforeAll(async () => {
    service = await start(adapter, {
      routes: [
        serve(makeThing).with(async ({ body }) => ({ ...stored, name: body.name })),
        serve(readThing).with(async ({ query }) =>
          query.view === 'long'
            ? reply(203, stored, {
                headers: { 'x-view': 'long', 'cache-control': 'private' },
                cookies: [
                  {
                    name: 'seen',
                    value: 'a b',
                    options: { path: '/api', httpOnly: true, secure: true, sameSite: 'strict', maxAgeMs: 1500 },
                  },
                  { name: 'other', value: '1', options: {} },
                ],
              })
            : stored,
        ),
        serve(removeThing).with(async () => undefined),
        serve(ping).with(async () => ({ pong: 42 }) as never),
        serve(echo).with(async ({ body }, _caller, context) => ({
          sent: [body, context.requestId, requestContext.get()?.requestId ?? 'lost', context.ip, context.userAgent],
        })),
      ],
    });
  });

  it('with the status of the contract and only the fields it names', async () => {
    const made = await call(service, 'POST /api/things', { headers, body: { name: 'lamp' } });
    expect(made.status).toBe(201);
    expect(made.json).toEqual({ id: alice, name: 'lamp' });
    expect(made.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(made.headers['cache-control']).toBe('no-store');
    expect(made.headers['content-length']).toBe(String(Buffer.byteLength(made.text)));
  });

  it('with the status, headers and cookies of a reply, stripped all the same', async () => {
    const read = await call(service, `GET /api/things/${alice}?view=long`, { headers });
    expect(read.status).toBe(203);
    expect(read.json).toEqual({ id: alice, name: 'lamp' });
    expect(read.headers).toMatchObject({ 'x-view': 'long', 'cache-control': 'private' });
    expect(read.headers['set-cookie']).toEqual([
      expect.stringMatching(/^seen=a%20b; Max-Age=1; Path=\/api; HttpOnly; Secure; SameSite=Strict$/),
      'other=1',
    ]);
  });

  it('with an empty 204 when the contract has nothing to say', async () => {
    const removed = await call(service, `DELETE /api/things/${alice}`, { headers });
    expect(removed.status).toBe(204);
    expect(removed.text).toBe('');
    expect(removed.headers['content-length']).toBeUndefined();
    expect(removed.headers['content-type']).toBeUndefined();
  });

  it('a HEAD like the GET, without the body', async () => {
    const head = await call(service, `HEAD /api/things/${alice}`, { headers });
    expect(head.status).toBe(200);
    expect(head.text).toBe('');
    expect((await call(service, `HEAD /api/things/${alice}`)).status).toBe(401);
  });

  it('500 when a handler breaks its own contract, and says why only in the log', async () => {
    const broken = await call(service, 'GET /api/ping');
    expect(broken.status).toBe(500);
    expect(broken.json).toMatchObject({ code: 'internal', detail: 'Something went wrong on our side' });
    expect(JSON.stringify(service.logger.lines)).toContain('ping answered against its contract');
  });

  it('handlers that know the request by the same id after the body was read', async () => {
    const { json, headers: sent } = await call(service, 'POST /api/echo', {
      headers: { 'x-request-id': 'request-0001', 'user-agent': 'u'.repeat(2000) },
      body: { deep: [1, null, 'ä\u0000'] },
    });
    expect(json['sent']).toEqual([
      { deep: [1, null, 'ä\u0000'] },
      'request-0001',
      'request-0001',
      '127.0.0.1',
      'u'.repeat(512),
    ]);
    expect(sent['x-request-id']).toBe('request-0001');
  });

  it('and counts each request under the path of its operation', async () => {
    const began = service.observed.length;
    await call(service, `GET /api/things/${alice}`, { headers });
    await call(service, `GET /api/things/${alice}`);
    await call(service, 'GET /nowhere');
    await call(service, 'GET /health/live');
    await eventually(() => service.observed.length === began + 4);
    const seen = service.observed.slice(began);
    expect(seen.map(({ method, route, status }) => `${method} ${route} ${status}`)).toEqual([
      'GET /api/things/:id 200',
      'GET /api/things/:id 401',
      'GET other 404',
      'GET /health/live 200',
    ]);
    expect(seen.every(({ seconds }) => seconds >= 0 && seconds < 10)).toBe(true);
  });
});
