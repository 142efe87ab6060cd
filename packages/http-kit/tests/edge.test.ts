import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AppError, createRateLimiter, serve, stream, unavailable } from '../src/index.ts';
import { ADAPTERS, alice, type Answer, bearer, call, type Running, start, stopAll, userToken, wire } from './kit.ts';
import { echo, makeThing, ping, readThing, tellStory } from './operations.ts';

afterAll(stopAll);

const origin = 'https://app.example.test';
const secret = 'postgres://tollgate:hunter2@db.internal/ledger';

function expectHardened(headers: Answer['headers']): void {
  expect(headers).toMatchObject({
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'strict-transport-security': 'max-age=31536000; includeSubDomains',
    'cross-origin-resource-policy': 'same-origin',
    'x-request-id': expect.stringMatching(/^[\w.:-]{8,128}$/),
  });
  const policy = String(headers['content-security-policy']);
  for (const directive of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"])
    expect(policy).toContain(directive);
  expect(policy).not.toMatch(/script-src[^;]*unsafe/);
  expect(headers['x-powered-by']).toBeUndefined();
  expect(headers['server']).toBeUndefined();
}

describe.each(ADAPTERS)('At the edge of %s', (_name, adapter) => {
  let service: Running;

  beforeAll(async () => {
    const limiter = createRateLimiter({ name: 'pings', points: 2, windowSeconds: 60 });
    service = await start(adapter, {
      limit: async ({ route, ip }) => (route.operation.id === 'ping' ? limiter.consume(ip) : undefined),
      routes: [
        serve(ping).with(async () => ({ pong: 'pong' })),
        serve(makeThing).with(async ({ body: { name } }) => {
          if (name === 'driver')
            throw Object.assign(new Error(`connection refused: ${secret}`), { status: 404, statusCode: 404 });
          if (name === 'syntax') return JSON.parse(`{"password": ${secret}`) as never;
          if (name === 'coded') throw unavailable('ACCOUNTING_UNAVAILABLE', 7, new Error(secret));
          if (name === 'detail') throw new AppError('UPSTREAM_FAILED', `Flowise answered 500 at ${secret}`);
          if (name === 'text') return Promise.reject(secret);
          if (name === 'nothing') return Promise.reject();
          throw new AppError('CONFLICT', 'Somebody was faster', {
            headers: { 'x-extra': '1' },
            extra: { state: 'settled' },
          });
        }),
        serve(readThing).with(async () => ({ id: alice, name: 'lamp' })),
        serve(echo).with(async ({ body }, _caller, { ip }) => ({ sent: [body, ip] })),
        serve(tellStory).with(async () =>
          stream(
            'text/event-stream',
            (async function* () {
              yield 'data: 1\n\n';
            })(),
            { headers: { 'x-charged': '3' } },
          ),
        ),
      ],
    });
  });

  it('success, refusal, unknown path, page, stream and preflight all carry the security headers', async () => {
    const headers = bearer(userToken());
    for (const answer of [
      await call(service, `GET /api/things/${alice}`, { headers }),
      await call(service, `GET /api/things/${alice}`),
      await call(service, 'POST /api/echo', { body: '{' }),
      await call(service, 'PATCH /api/echo', { body: {} }),
      await call(service, 'GET /nowhere'),
      await call(service, 'GET /health/live'),
      await call(service, 'GET /docs'),
      await call(service, 'GET /api/story'),
      await call(service, 'OPTIONS /api/echo', { headers: { origin, 'access-control-request-method': 'POST' } }),
      await call(service, 'POST /api/things', { headers, body: { name: 'driver' } }),
    ])
      expectHardened(answer.headers);
  });

  it('a stream keeps the headers of its own as well', async () => {
    const { headers, text, status } = await call(service, 'GET /api/story', { headers: { origin } });
    expect([status, text]).toEqual([200, 'data: 1\n\n']);
    expect(headers).toMatchObject({
      'content-type': 'text/event-stream',
      'x-charged': '3',
      'cache-control': 'no-cache',
      'access-control-allow-origin': origin,
    });
  });

  it('strict transport is asked for in production only', async () => {
    const inDevelopment = await start(adapter, { production: false });
    expect((await call(inDevelopment, 'GET /health')).headers['strict-transport-security']).toBeUndefined();
  });

  it('browsers are answered from listed pages only', async () => {
    const preflight = (from: string) =>
      call(service, 'OPTIONS /api/things', {
        headers: {
          origin: from,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,content-type',
        },
      });
    const allowed = await preflight(origin);
    expect(allowed.status).toBe(204);
    expect(allowed.headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      'access-control-allow-headers': 'authorization,content-type',
      'access-control-max-age': '600',
    });
    expect(String(allowed.headers['access-control-allow-methods'])).toContain('DELETE');
    for (const other of [
      'null',
      'https://evil.test',
      `${origin}.evil.test`,
      'https://app.example.test:444',
      origin.toUpperCase(),
    ]) {
      const { headers } = await preflight(other);
      expect(headers['access-control-allow-origin']).toBeUndefined();
      const plain = await call(service, 'GET /health', { headers: { origin: other } });
      expect(plain.headers['access-control-allow-origin']).toBeUndefined();
      expect(String(plain.headers['vary'])).toMatch(/origin/i);
    }
    const refused = await call(service, 'POST /api/things', { headers: { origin }, body: {} });
    expect(refused.status).toBe(401);
    expect(refused.headers['access-control-allow-origin']).toBe(origin);
    expect(String(refused.headers['access-control-expose-headers'])).toContain('retry-after');
  });

  it('no browser at all when no page is listed, and a wildcard is refused at the start', async () => {
    const closed = await start(adapter, { allowedOrigins: [] });
    expect(
      (await call(closed, 'GET /health', { headers: { origin } })).headers['access-control-allow-origin'],
    ).toBeUndefined();
    await expect(start(adapter, { allowedOrigins: ['*'] })).rejects.toThrow('one by one');
    await expect(start(adapter, { allowedOrigins: [origin, 'null'] })).rejects.toThrow('one by one');
  });

  it('a harmless request id is kept, anything else replaced', async () => {
    const sent = async (id: string) =>
      (await call(service, 'GET /nowhere', { headers: { 'x-request-id': id } })).json['requestId'];
    expect(await sent('trace-0123.A:b_c')).toBe('trace-0123.A:b_c');
    expect(await sent('x'.repeat(128))).toBe('x'.repeat(128));
    for (const id of [
      'short',
      'x'.repeat(129),
      'with space 123',
      '<script>1</script>',
      '{"a":"b"}12345',
      'a,b,c,d,e,f,g',
    ])
      expect(await sent(id)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const { until, socket } = wire(
      service.port,
      'GET /nowhere HTTP/1.1\r\nHost: x\r\nx-request-id: first-0001\r\nx-request-id: second-002\r\n\r\n',
    );
    expect(await until('"code":"not_found"')).not.toContain('first-0001');
    socket.destroy();
  });

  it.each(['driver', 'syntax', 'coded', 'detail', 'text', 'nothing'])(
    'the failure "%s" shows a public sentence and nothing else',
    async (name) => {
      const began = service.logger.lines.length;
      const answer = await call(service, 'POST /api/things', { headers: bearer(userToken()), body: { name } });
      expect(answer.status).toBe({ coded: 503, detail: 502 }[name] ?? 500);
      expect(Object.keys(answer.json).sort()).toEqual([
        'code',
        'detail',
        'error',
        'message',
        'requestId',
        'status',
        'title',
        'type',
      ]);
      expect(answer.text).not.toMatch(/hunter2|node_modules|\.ts|\n\s+at |Flowise|express|fastify/i);
      expect(answer.headers['retry-after']).toBe(name === 'coded' ? '7' : undefined);
      const logged = service.logger.lines.slice(began).filter(({ message }) => message !== 'answered');
      expect(logged).toEqual([
        { level: 'error', message: 'request failed', fields: expect.objectContaining({ code: expect.any(String) }) },
      ]);
    },
  );

  it('a refusal of the handler keeps its headers and extra members', async () => {
    const answer = await call(service, 'POST /api/things', { headers: bearer(userToken()), body: { name: 'x' } });
    expect(answer.json).toMatchObject({
      status: 409,
      code: 'conflict',
      detail: 'Somebody was faster',
      state: 'settled',
    });
    expect(answer.headers['x-extra']).toBe('1');
  });

  it('limits show their state and refuse with 429, when to come back and which policy', async () => {
    const first = await call(service, 'GET /api/ping');
    expect(first.headers).toMatchObject({ 'ratelimit-policy': '"pings";q=2;w=60', ratelimit: '"pings";r=1;t=60' });
    await call(service, 'GET /api/ping');
    const refused = await call(service, 'GET /api/ping');
    expect(refused.json).toMatchObject({
      status: 429,
      code: 'rate_limited',
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      'violated-policies': ['pings'],
    });
    expect(refused.headers['ratelimit-policy']).toBe('"pings";q=2;w=60');
    expect(refused.headers['ratelimit']).toMatch(/^"pings";r=0;t=\d+$/);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('an address is believed from as many proxies as stand before the service', async () => {
    const ip = async (hops: number, forwarded: string) => {
      const behind = await start(adapter, {
        trustProxyHops: hops,
        routes: [serve(echo).with(async (_input, _caller, context) => ({ sent: context.ip }))],
      });
      return (await call(behind, 'POST /api/echo', { headers: { 'x-forwarded-for': forwarded }, body: 1 })).json[
        'sent'
      ];
    };
    expect(await ip(0, '203.0.113.9')).toBe('127.0.0.1');
    expect(await ip(1, '198.51.100.1, 203.0.113.9')).toBe('203.0.113.9');
    expect(await ip(2, '192.0.2.7, 198.51.100.1, 203.0.113.9')).toBe('198.51.100.1');
  });
});
