import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { acceptedType, serve, stream } from '../src/index.ts';
import { openApiDocument } from '../src/openapi.ts';
import { ADAPTERS, call, type Running, start, stopAll, wire } from './kit.ts';
import { listThings } from './operations.ts';

afterAll(stopAll);

const TYPES = ['application/json', 'text/csv'] as const;

describe.each(ADAPTERS)('%s answers in two media types:', (_name, adapter) => {
  let service: Running;
  const made: string[] = [];

  beforeAll(async () => {
    async function* table() {
      for (const line of ['name\r\n', 'lamp\r\n']) {
        made.push(line);
        yield line;
      }
    }
    const route = serve(listThings).with(async (_input, _caller, context) =>
      acceptedType(context, TYPES) === 'text/csv'
        ? stream('text/csv', table(), {
            headers: { 'cache-control': 'no-store' },
            trailers: { 'x-lines': () => String(made.length) },
          })
        : { things: ['lamp'] },
    );
    service = await start(adapter, { routes: [route] });
  });

  it.each([
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['text/csv', 'text/csv'],
    ['text/*', 'text/csv'],
    ['application/json;q=0.5, text/csv', 'text/csv'],
    ['text/csv;q=0, */*', 'application/json'],
    ['image/png', 'application/json'],
    [';;;,', 'application/json'],
  ])('Accept: %s gives %s', async (accept, type) => {
    const answer = await call(service, 'GET /api/list', { headers: accept === undefined ? {} : { accept } });
    expect(answer.status).toBe(200);
    expect(String(answer.headers['content-type']).split(';')[0]).toBe(type);
  });

  it('a stream says at its end what was not known before', async () => {
    made.length = 0;
    const reader = wire(service.port, 'GET /api/list HTTP/1.1\r\nHost: x\r\nAccept: text/csv\r\n\r\n');
    const text = await reader.until('x-lines: 2');
    expect(text).toMatch(/^trailer: x-lines\r$/im);
    expect(text).toMatch(/\r\n0\r\nx-lines: 2\r\n\r\n$/i);
    reader.socket.destroy();
  });

  it('a client of HTTP/1.0 gets the same without', async () => {
    const reader = wire(service.port, 'GET /api/list HTTP/1.0\r\nHost: x\r\nAccept: text/csv\r\n\r\n');
    expect(await reader.ended()).toMatch(/200 OK[^]*\r\n\r\nname\r\nlamp\r\n$/);
  });

  it('a HEAD makes none of the body', async () => {
    made.length = 0;
    const head = await call(service, 'HEAD /api/list', { headers: { accept: 'text/csv' } });
    expect(head.status).toBe(200);
    expect(head.headers['content-type']).toBe('text/csv');
    expect(head.text).toBe('');
    expect(made).toEqual([]);
  });
});

it('The document tells both media types', () => {
  const { paths } = openApiDocument('Things', '1.2.3', [listThings]);
  expect(Object.keys(Object(paths?.['/api/list']?.get?.responses?.['200']).content)).toEqual([...TYPES]);
});
