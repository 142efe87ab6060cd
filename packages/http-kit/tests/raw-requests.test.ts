import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHttpServer, serve } from '../src/index.ts';
import { createExpressApp } from '../src/express.ts';
import { ADAPTERS, alice, bearer, call, eventually, type Running, start, stopAll, userToken, wire } from './kit.ts';
import { echo, readThing } from './operations.ts';

afterAll(stopAll);

const HOST = 'Host: x\r\n';
const JSON_TYPE = 'Content-Type: application/json\r\n';
const AUTH = `Authorization: ${bearer(userToken()).authorization}\r\n`;
const get = (path: string, headers = ''): string => `GET ${path} HTTP/1.1\r\n${HOST}${headers}\r\n`;
const post = (headers: string, body: string): string =>
  `POST /api/echo HTTP/1.1\r\n${HOST}${JSON_TYPE}${headers}\r\n${body}`;
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
/** Would be answered with 200 if anybody took it for a request. */
const SMUGGLED = get('/health/live');

describe.each(ADAPTERS)('A request to %s whose end is in doubt', (_name, adapter) => {
  let service: Running;
  let reached: unknown[];

  beforeAll(async () => {
    reached = [];
    const note = serve(echo).with(async ({ body }) => ({ sent: reached.push(body) }));
    service = await start(adapter, {
      routes: [note, serve(readThing).with(async () => ({ id: alice, name: 'lamp' }))],
    });
  });

  it.each([
    ['a length and chunks', post(`Content-Length: 4\r\n${CHUNKED}`, `1\r\n1\r\n0\r\n\r\n${SMUGGLED}`)],
    ['chunks and a length', post(`${CHUNKED}Content-Length: 4\r\n`, `1\r\n1\r\n0\r\n\r\n${SMUGGLED}`)],
    ['two lengths', post('Content-Length: 1\r\nContent-Length: 44\r\n', `1${SMUGGLED}`)],
    ['the same length twice', post('Content-Length: 1\r\nContent-Length: 1\r\n', `1${SMUGGLED}`)],
    ['a list of lengths', post('Content-Length: 1, 1\r\n', `1${SMUGGLED}`)],
    ['a signed length', post('Content-Length: +1\r\n', `1${SMUGGLED}`)],
    ['a negative length', post('Content-Length: -1\r\n', `1${SMUGGLED}`)],
    ['a hexadecimal length', post('Content-Length: 0x1\r\n', `1${SMUGGLED}`)],
    ['an endless length', post('Content-Length: 99999999999999999999999\r\n', '1')],
    ['chunks twice', post(`${CHUNKED}${CHUNKED}`, `1\r\n1\r\n0\r\n\r\n${SMUGGLED}`)],
    ['chunks under another name', post('Transfer-Encoding: xchunked\r\n', `1\r\n1\r\n0\r\n\r\n${SMUGGLED}`)],
    ['chunks that are not last', post('Transfer-Encoding: chunked, identity\r\n', `1\r\n1\r\n0\r\n\r\n${SMUGGLED}`)],
    ['packed chunks', post('Transfer-Encoding: gzip, chunked\r\n', `1\r\n1\r\n0\r\n\r\n${SMUGGLED}`)],
    ['a space before the colon', post('Transfer-Encoding : chunked\r\n', `1\r\n1\r\n0\r\n\r\n${SMUGGLED}`)],
    ['a chunk size that is none', post(CHUNKED, `zz\r\n1\r\n0\r\n\r\n${SMUGGLED}`)],
    ['a negative chunk size', post(CHUNKED, `-1\r\n1\r\n0\r\n\r\n${SMUGGLED}`)],
    ['a chunk size beyond 64 bits', post(CHUNKED, `fffffffffffffffff\r\n1\r\n0\r\n\r\n${SMUGGLED}`)],
    ['a chunk longer than its size', post(CHUNKED, `1\r\n12345\r\n0\r\n\r\n${SMUGGLED}`)],
    ['chunks with bare line feeds', post(CHUNKED, `1\n1\n0\n\n${SMUGGLED}`)],
    ['a header on two lines', `GET /health/live HTTP/1.1\r\n${HOST}X-A: a\r\n b\r\n\r\n${SMUGGLED}`],
    ['bare line feeds', `GET /health/live HTTP/1.1\nHost: x\n\n${SMUGGLED}`],
    ['a bare carriage return', `GET /health/live HTTP/1.1\r\n${HOST}X-A: a\rX-B: b\r\n\r\n${SMUGGLED}`],
    ['no Host', `GET /health/live HTTP/1.1\r\n\r\n${SMUGGLED}`],
    ['two Hosts', get('/health/live', 'Host: y\r\n') + SMUGGLED],
    ['no version', `GET /health/live\r\n\r\n${SMUGGLED}`],
    ['the preface of HTTP/2', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${SMUGGLED}`],
    ['an unknown method', `FOO /health/live HTTP/1.1\r\n${HOST}\r\n${SMUGGLED}`],
    ['a fragment', get('/health/live#x') + SMUGGLED],
    ['two content types', post('Content-Type: text/plain\r\nContent-Length: 1\r\n', `1${SMUGGLED}`)],
    ['two credentials', get(`/api/things/${alice}`, `${AUTH}Authorization: Bearer other\r\n`) + SMUGGLED],
  ])('(%s) is refused once, in our words, and nothing after it is read', async (_what, text) => {
    const answer = await wire(service.port, text).ended();
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 400']);
    expect(answer).toContain('"code":"validation_failed"');
    expect(answer.toLowerCase()).toMatch(
      /content-security-policy: default-src 'none'[^]*x-request-id: |x-request-id: [^]*content-security-policy/,
    );
    expect(answer.toLowerCase()).toContain('strict-transport-security: max-age=31536000');
    expect(reached).toEqual([]);
  });

  it('a body that no operation wants is passed over, and the next request begins where it ends', async () => {
    const inner = SMUGGLED.replace('/health/live', '/api/things/x');
    const { until, socket } = wire(
      service.port,
      get('/health', `Content-Length: ${inner.length}\r\n`) + inner + SMUGGLED,
    );
    const answer = await until('{"status":"ok"}');
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']);
    socket.destroy();
  });

  it.each([
    [8192, 404],
    [8193, 414],
    [16_000, 414],
    [30_000, 414],
  ])('an address of %i characters is answered with %i', async (length, status) => {
    const { until, socket } = wire(service.port, get(`/${'a'.repeat(length - 1)}`));
    expect(await until('"code"')).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    socket.destroy();
  });

  it.each(['TRACE', 'PROPFIND', 'QUERY', 'LINK'])('the method %s is refused with what is allowed', async (method) => {
    for (const [path, allow] of [
      ['/health', 'GET, HEAD'],
      ['/api/echo', 'POST'],
      ['/nowhere', ''],
    ] as const) {
      const { until, socket } = wire(service.port, `${method} ${path} HTTP/1.1\r\n${HOST}Cookie: secret=1\r\n\r\n`);
      const answer = await until('"code":"method_not_allowed"');
      expect(answer).toMatch(/^HTTP\/1\.1 405 /);
      expect(answer).toMatch(new RegExp(`\r\nallow: ${allow}\r\n`, 'i'));
      expect(answer).not.toContain('secret');
      socket.destroy();
    }
  });

  it('an expectation that is not offered is refused in our words', async () => {
    const answer = await wire(service.port, post('Expect: banana\r\nContent-Length: 1\r\n', '1')).ended();
    expect(answer).toMatch(/^HTTP\/1\.1 417 /);
    expect(answer).toContain('"code":"expectation_failed"');
    expect(answer.toLowerCase()).toContain('x-content-type-options: nosniff');
  });

  it('a parameter that comes twice, in brackets or under a poisoned name widens nothing', async () => {
    const headers = bearer(userToken());
    for (const query of [
      'view=short&view=long',
      'view[]=short',
      'view[$ne]=x',
      '__proto__=x',
      'constructor=x',
      'view%00=short',
    ])
      expect((await call(service, `GET /api/things/${alice}?${query}`, { headers })).status).toBe(400);
  });

  it('a method in a header changes nothing', async () => {
    const headers = { ...bearer(userToken()), 'x-http-method-override': 'GET' };
    expect((await call(service, `POST /api/things/${alice}?_method=GET`, { headers })).status).toBe(405);
  });
});

describe.each(ADAPTERS)('A path of %s that is written in another way', (_name, adapter) => {
  let service: Running;
  beforeAll(async () => {
    service = await start(adapter, { routes: [serve(readThing).with(async () => ({ id: alice, name: 'lamp' }))] });
  });
  const statusOf = async (path: string, headers = ''): Promise<number> => {
    const { until, socket } = wire(service.port, get(path, headers));
    const answer = await until('\r\n\r\n');
    socket.destroy();
    return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
  };

  it.each([
    '/%61pi/things/ID',
    '/api/%74hings/ID',
    '/api%2fthings/ID',
    '/api%2Fthings%2FID',
    '//api/things/ID',
    '/api//things/ID',
    '/./api/things/ID',
    '/api/./things/ID',
    '/api/x/../things/ID',
    '/api/x/%2e%2e/things/ID',
    '/api/things/ID/',
    '/api/things/ID//',
    '/api/things/ID.',
    '/api/things/ID%2e',
    '/api/things/ID;x',
    '/api/things;x/ID',
    '/api;x=1/things/ID',
    '/api/things/ID%20',
    '/api/things/ID%00',
    '/API/things/ID',
    '/api\\things\\ID',
    '/api/things/ID.json',
    'http://other.test/api/things/ID',
    'http://other.test//api/things/ID',
  ])('(%s) is never open to somebody who may not read the plain one', async (path) => {
    const [stranger, reader] = [
      await statusOf(path.replace('ID', alice)),
      await statusOf(path.replace('ID', alice), AUTH),
    ];
    expect([400, 401, 404]).toContain(stranger);
    // Whoever may read the plain one reads the same, or nothing.
    expect([200, 400, 404]).toContain(reader);
    expect(reader === 200 ? stranger : 401).toBe(401);
  });
});

describe('200 sockets that send a byte now and then', () => {
  it('keep nobody else from being served, and are cut when their time is over', async () => {
    const limits = { headersTimeout: 1500, requestTimeout: 1500, connectionsCheckingInterval: 50 };
    const service = await start(async (options) =>
      createHttpServer(
        createExpressApp({ ...options, routes: [serve(echo).with(async ({ body }) => ({ sent: body }))] }),
        { production: true, limits },
      ),
    );
    const slow = Array.from({ length: 200 }, (_, at) =>
      wire(
        service.port,
        at % 2 === 0 ? 'GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ' : post('Content-Length: 4000\r\n', '"'),
      ),
    );
    const drip = setInterval(() => {
      for (const { socket } of slow) if (socket.writable) socket.write('x');
    }, 100);
    try {
      await eventually(() => slow.every(({ socket }) => !socket.connecting));
      const began = performance.now();
      let served = 0;
      while (performance.now() - began < 1000) {
        const { status } = await call(service, 'POST /api/echo', { body: '"quick"' });
        served += Number(status === 200);
      }
      // One after the other, so that this is hundreds on any machine that can run the suite.
      expect(served).toBeGreaterThan(20);
      await Promise.all(slow.map(({ ended }) => ended()));
      for (const { received } of slow) expect(received()).toMatch(/^HTTP\/1\.1 408 /);
    } finally {
      clearInterval(drip);
    }
  });
});
