import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createExpressApp } from '../src/express.ts';
import { createHttpServer, serve } from '../src/index.ts';
import { ADAPTERS, eventually, type Running, start, stopAll, wire } from './kit.ts';
import { echo } from './operations.ts';

afterAll(stopAll);

describe.each(ADAPTERS)('What the HTTP parser of %s refuses', (_name, adapter) => {
  let service: Running;

  beforeAll(async () => {
    service = await start(adapter);
  });

  async function answerTo(text: string) {
    const answer = await wire(service.port, text).ended();
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    return { answer, head: head.toLowerCase(), problem: JSON.parse(body) as Record<string, unknown> };
  }

  it.each([
    [
      'headers over 16 kB',
      `GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(20_000)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    ['an address over 16 kB', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 414, 'uri_too_long'],
    ['what is no HTTP', 'HELO example.test\r\n\r\n', 400, 'validation_failed'],
    [
      'two lengths',
      'POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
      400,
      'validation_failed',
    ],
    [
      'a length beside chunks',
      'POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
      'validation_failed',
    ],
    ['a line break in a header', 'GET / HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n', 400, 'validation_failed'],
    ['a tunnel', 'CONNECT db.internal:5432 HTTP/1.1\r\nHost: x\r\n\r\n', 405, 'method_not_allowed'],
  ])('%s is a problem document with every header, and the end of the connection', async (_what, text, status, code) => {
    const { answer, head, problem } = await answerTo(text);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(problem).toMatchObject({ status, code });
    expect(head).toContain(`x-request-id: ${String(problem['requestId'])}`);
    for (const header of [
      'content-type: application/problem+json',
      'x-content-type-options: nosniff',
      "default-src 'none'",
      'connection: close',
    ])
      expect(head).toContain(header);
    expect(head.includes('allow: ')).toBe(status === 405);
  });
});

it.each([
  ['headers', 'GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: '],
  ['a body', 'POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n"ab'],
])('A request whose %s never arrive is answered once, with 408, and cut', async (_what, text) => {
  const limits = { headersTimeout: 200, requestTimeout: 300, connectionsCheckingInterval: 50 };
  const service = await start(async (options) =>
    createHttpServer(
      createExpressApp({ ...options, routes: [serve(echo).with(async ({ body }) => ({ sent: body }))] }),
      { production: true, limits },
    ),
  );
  const answer = await wire(service.port, text).ended();
  expect(answer.match(/HTTP\/1\.1 (\d+)/g)).toEqual(['HTTP/1.1 408']);
  expect(answer).toContain('"code":"request_timeout"');
  await eventually(() => service.observed.every(({ status }) => status === 499 || status === 400));
  expect(service.logger.lines).toEqual([]);
});
