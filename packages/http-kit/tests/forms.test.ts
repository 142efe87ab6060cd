import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Form } from '@tollgate/contracts';
import { serve } from '../src/index.ts';
import { openApiDocument } from '../src/openapi.ts';
import { expectProblem } from './expect-problem.ts';
import {
  ADAPTERS,
  type Answer,
  bearer,
  call,
  eventually,
  type Running,
  start,
  stopAll,
  userToken,
  wire,
} from './kit.ts';
import { sendFiles, sendFilesOrNone } from './operations.ts';

afterAll(stopAll);

const BOUNDARY = '--limit';
const TYPE = { 'content-type': 'multipart/form-data; boundary="--limit"' };
const part = (head: string, body: string) => `--${BOUNDARY}\r\n${head}\r\n\r\n${body}\r\n`;
const file = (name: string, body: string, field = 'files') =>
  part(`content-disposition: form-data; name="${field}"; filename="${name}"\r\ncontent-type: text/plain`, body);
const field = (name: string, value: string) => part(`content-disposition: form-data; name="${name}"`, value);
const END = `--${BOUNDARY}--\r\n`;

async function taken({ body }: { body: Form<{ note?: string | undefined }> }) {
  const files: { name: string; mime: string; bytes: number }[] = [];
  for await (const { name, mime, chunks } of body.files()) {
    let bytes = 0;
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (name === 'half read') break;
    }
    files.push({ name, mime, bytes });
  }
  return { files, note: (await body.fields()).note ?? '' };
}

describe.each(ADAPTERS)('a form at %s', (_name, adapter) => {
  let service: Running;
  const headers = { ...bearer(userToken()), ...TYPE };
  const post = (body: string | Buffer, more: Record<string, string> = {}): Promise<Answer> =>
    call(service, 'POST /api/files', { headers: { ...headers, ...more }, body });

  beforeAll(async () => {
    service = await start(adapter, {
      routes: [serve(sendFiles).with((input) => taken(input)), serve(sendFilesOrNone).with((input) => taken(input))],
    });
  });

  it('gives files and fields in any order, under either spelling', async () => {
    const body = field('remark', 'hello') + file('a.txt', 'abc') + file('ü/b.txt', 'x'.repeat(500_000)) + END;
    expect((await post(body)).json).toEqual({
      files: [
        { name: 'a.txt', mime: 'text/plain', bytes: 3 },
        { name: 'b.txt', mime: 'text/plain', bytes: 500_000 },
      ],
      note: 'hello',
    });
  });

  it('passes over what its reader left of a file', async () => {
    const answer = await post(file('half read', 'x'.repeat(900_000)) + field('note', 'after') + END);
    expect(answer.json).toMatchObject({ note: 'after', files: [{ name: 'half read' }] });
  });

  it('is refused before anything is read when its caller is nobody', async () => {
    const answer = await call(service, 'POST /api/files', { headers: TYPE, body: file('a', 'a') + END });
    expectProblem(answer, 'UNAUTHENTICATED');
  });

  it.each([
    ['four files', file('a', 'a').repeat(4) + END],
    ['a file in another field', file('a', 'a', 'other') + END],
    ['a field that nobody knows', field('admin', 'true') + END],
    ['a field twice', field('note', '1') + field('note', '2') + END],
    ['a field that reaches for the prototype', field('__proto__', '1') + END],
    ['a field without a name', part('content-disposition: form-data', 'x') + field('', 'x') + END],
    ['many fields', Array.from({ length: 40 }, (_, at) => field(`f${at}`, 'x')).join('') + END],
    ['a form without an end', file('a', 'abc')],
    ['a form that breaks off inside a file', file('a', 'x'.repeat(200_000)).slice(0, -10)],
    ['nothing', ''],
    ['no form at all', 'hello'],
  ])('with %s is refused', async (_what, body) => {
    expectProblem(await post(body), 'VALIDATION_FAILED');
  });

  it.each([
    ['a file that is too large', file('a', 'x'.repeat(1_000_001)) + END],
    ['a field that is too large', field('note', 'x'.repeat(65_537)) + END],
    ['too much of everything', file('a', 'a') + 'x'.repeat(4_100_000)],
  ])('with %s is refused', async (_what, body) => {
    expectProblem(await post(body), 'BODY_TOO_LARGE');
  });

  it.each([
    ['application/json', 'UNSUPPORTED_MEDIA_TYPE'],
    ['multipart/mixed; boundary=x', 'UNSUPPORTED_MEDIA_TYPE'],
    ['multipart/form-data', 'UNSUPPORTED_MEDIA_TYPE'],
    ['multipart/form-data; charset=utf-8', 'VALIDATION_FAILED'],
  ] as const)('of the type %s is refused', async (type, code) => {
    expectProblem(await post(END, { 'content-type': type }), code);
  });

  it('may come as JSON where its operation says so', async () => {
    const json = { ...bearer(userToken()) };
    const answer = await call(service, 'POST /api/files-or-none', { headers: json, body: { note: 'no files' } });
    expect(answer.json).toEqual({ files: [], note: 'no files' });
    expectProblem(
      await call(service, 'POST /api/files-or-none', { headers: json, body: { no: 1 } }),
      'VALIDATION_FAILED',
    );
    const form = await call(service, 'POST /api/files-or-none', { headers, body: file('a', 'abc') + END });
    expect(form.json).toMatchObject({ files: [{ bytes: 3 }] });
  });

  it('takes no more from the connection than its reader wants, and frees it when the reader gives up', async () => {
    const gate = Promise.withResolvers<void>();
    const slow = await start(adapter, {
      routes: [
        serve(sendFiles).with(async ({ body }) => {
          for await (const { chunks } of body.files()) {
            for await (const chunk of chunks) {
              void chunk;
              await gate.promise;
              throw new Error('no more');
            }
          }
          return { files: [], note: '' };
        }),
      ],
    });
    const body = file('a', 'x'.repeat(990_000)).repeat(3) + END;
    const head = `POST /api/files HTTP/1.1\r\nhost: x\r\nauthorization: ${headers.authorization}\r\ncontent-type: ${TYPE['content-type']}\r\ncontent-length: ${body.length}\r\n\r\n`;
    const connection = wire(slow.port, head);
    let server: Socket | undefined;
    slow.server.on('connection', (socket) => (server = socket));
    connection.socket.write(body);
    await eventually(() => (server?.bytesRead ?? 0) > 10_000);
    for (let turns = 0; turns < 100; turns += 1) await turn();
    expect(server?.bytesRead).toBeLessThan(500_000);
    expect(connection.received()).toBe('');
    gate.resolve();
    await connection.until('500 Internal Server Error');
    await eventually(() => (server?.bytesRead ?? 0) > body.length);
    connection.socket.destroy();
  });
});

it('is described as a form whose files are binary', () => {
  const { paths } = openApiDocument('t', '1', [sendFiles, sendFilesOrNone]);
  expect(paths?.['/api/files']?.post?.requestBody).toMatchObject({
    content: {
      'multipart/form-data': {
        schema: {
          properties: { note: { type: 'string' }, files: { type: 'array', maxItems: 3, items: { format: 'binary' } } },
          required: ['files'],
        },
      },
    },
  });
  expect(Object.keys(Object(paths?.['/api/files-or-none']?.post?.requestBody).content)).toEqual([
    'multipart/form-data',
    'application/json',
  ]);
});
