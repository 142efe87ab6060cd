import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { serve } from '../src/index.ts';
import { expectProblem } from './expect-problem.ts';
import { ADAPTERS, alice, bearer, call, type Running, start, stopAll, userToken, wire } from './kit.ts';
import { echo, makeThing, signedThing } from './operations.ts';

afterAll(stopAll);

const poisoned = '{"name":"lamp","__proto__":{"isAdmin":true}}';
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

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

  it.each(['null', '[]', '"x"', '1', 'true', '{}', ''])('the body %s where an object is due', async (body) => {
    expectProblem(await call(service, 'POST /api/things', { headers, body }), 'VALIDATION_FAILED');
    expect(reached).toEqual([]);
  });

  it.each(['{', '{"name":"a"} x', "{'name':1}", 'NaN', '\u0000', '{"name":"\u0001"}', '{"a":1,}'])(
    'broken JSON %j',
    async (body) => {
      expectProblem(await call(service, 'POST /api/things', { headers, body }), 'MALFORMED_JSON');
      expect(reached).toEqual([]);
    },
  );

  it('bytes that are not UTF-8 instead of altering them', async () => {
    const body = Buffer.from([0x7b, 0x22, 0x6e, 0x61, 0x6d, 0x65, 0x22, 0x3a, 0x22, 0xff, 0xc0, 0x22, 0x7d]);
    expectProblem(await call(service, 'POST /api/things', { headers, body }), 'MALFORMED_JSON');
  });

  it.each([
    'text/plain',
    '',
    'application/json garbage',
    'application/jsonx',
    'application/json\ta',
    'application/json, text/plain',
    'APPLICATION/JSON;charset=utf-7',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/problem+json',
  ])('a body of the type %j', async (type) => {
    const answer = await call(service, 'POST /api/things', {
      headers: { ...headers, 'content-type': type },
      body: '{"name":"a"}',
    });
    expectProblem(answer, 'UNSUPPORTED_MEDIA_TYPE');
    expect(reached).toEqual([]);
  });

  it.each(['application/json', 'Application/JSON; Charset="UTF-8"', 'application/json;charset=utf-8'])(
    'nothing of the type %s',
    async (type) => {
      const made = await call(service, 'POST /api/things', {
        headers: { ...headers, 'content-type': type },
        body: '{"name":"a"}',
      });
      expect(made.status).toBe(201);
    },
  );

  it('a compressed body, which could unfold beyond every limit', async () => {
    const answer = await call(service, 'POST /api/things', {
      headers: { ...headers, 'content-encoding': 'gzip' },
      body: '{"name":"a"}',
    });
    expectProblem(answer, 'UNSUPPORTED_MEDIA_TYPE');
  });

  it.each([
    ['__proto__', poisoned],
    ['__proto__ in escapes', '{"name":"a","\\u005f_proto__":1}'],
    ['__proto__ far inside', '{"a":[{"b":{"__proto__":null}}]}'],
    ['constructor.prototype', '{"constructor":{"prototype":{"isAdmin":true}}}'],
  ])('the key %s, even where any JSON may be sent', async (_key, body) => {
    expectProblem(await call(service, 'POST /api/echo', { body }), 'MALFORMED_JSON');
    expect(reached).toEqual([]);
    expect(({} as Record<string, unknown>)['isAdmin']).toBeUndefined();
  });

  it('no harmless look-alike of such a key', async () => {
    const body = { constructor: 'x', prototype: 1, toString: 'y', text: '__proto__', hasOwnProperty: null };
    expect((await call(service, 'POST /api/echo', { body })).json).toEqual({ sent: body });
  });

  it('nesting deeper than 64 levels, at any depth, without failing itself', async () => {
    expect((await call(service, 'POST /api/echo', { body: nested(64) })).status).toBe(200);
    for (const body of [nested(65), nested(8000), `${'{"a":'.repeat(2500)}1${'}'.repeat(2500)}`])
      expectProblem(await call(service, 'POST /api/echo', { body }), 'MALFORMED_JSON');
  });

  it('a body over the limit of its operation, declared or not', async () => {
    const body = JSON.stringify('x'.repeat(20_000));
    expectProblem(await call(service, 'POST /api/echo', { body }), 'BODY_TOO_LARGE');
    const chunked = wire(
      service.port,
      'POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    chunked.socket.write(`4e20\r\n"${'x'.repeat(19_999)}\r\n`);
    expect(await chunked.until('"code":"body_too_large"')).toMatch(/^HTTP\/1\.1 413 /);
    // The rest is thrown away, and the connection serves on.
    chunked.socket.write(`40000\r\n${'x'.repeat(0x40000)}\r\n0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: x\r\n\r\n`);
    await chunked.until('{"status":"ok"}');
    chunked.socket.destroy();
    expect((await call(service, 'POST /api/echo', { body: JSON.stringify('x'.repeat(16_000)) })).status).toBe(200);
    expect(reached).toHaveLength(1);
  });

  it('a declared 100 MB before any of it is sent', async () => {
    const { until, socket } = wire(
      service.port,
      'POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n',
    );
    expect(await until('"code":"body_too_large"')).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
  });

  it('the connection nothing: after a refused body the next request on it is answered', async () => {
    const body = JSON.stringify('x'.repeat(20_000));
    const post = `POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const { until, socket } = wire(service.port, post);
    await until('body_too_large');
    socket.write('GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await until('{"status":"ok"}')).toContain('HTTP/1.1 200 OK');
    socket.destroy();
  });

  it('without a word of the body in any log', async () => {
    await call(service, 'POST /api/echo', { body: '{"canary": hunter2' });
    await call(service, 'POST /api/echo', { body: '{"__proto__": "hunter2"}' });
    expect(
      JSON.stringify(service.logger.lines, (_key, value: unknown) =>
        value instanceof Error ? String(value.stack) : value,
      ),
    ).not.toContain('hunter2');
    expect(service.logger.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

describe.each(ADAPTERS)('%s, where an operation wants the body raw,', (_name, adapter) => {
  let service: Running;
  beforeAll(async () => {
    service = await start(adapter, {
      routes: [serve(signedThing).with(({ body }) => ({ hex: Buffer.from(body).toString('hex') }))],
    });
  });

  it.each(['{ "a" : 1 }\n', 'not json', '\u00e9'])('hands over the bytes of %j as they came', async (body) => {
    const answer = await call(service, 'POST /api/signed', { headers: {}, body });
    expect(answer.json).toEqual({ hex: Buffer.from(body).toString('hex') });
  });

  it('keeps the limit, the content type and the body itself required', async () => {
    expectProblem(await call(service, 'POST /api/signed', { headers: {}, body: 'x'.repeat(33) }), 'BODY_TOO_LARGE');
    expectProblem(await call(service, 'POST /api/signed', { headers: {}, body: '' }), 'VALIDATION_FAILED');
    const headers = { 'content-type': 'text/plain' };
    expectProblem(await call(service, 'POST /api/signed', { headers, body: 'x' }), 'UNSUPPORTED_MEDIA_TYPE');
  });
});
