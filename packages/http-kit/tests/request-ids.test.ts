import { operation } from '@tollgate/contracts';
import { z } from 'zod';
import { afterAll, describe, expect, it } from '@jest/globals';
import { createClient } from '../src/client.ts';
import { AppError, asPartOf, requestContext, serve, type Span, type Tracer } from '../src/index.ts';
import { ADAPTERS, bearer, call, eventually, serviceToken, start, stopAll, userToken, alice } from './kit.ts';
import { echo, ping, readThing } from './operations.ts';

afterAll(stopAll);

const poll = operation({
  id: 'poll',
  method: 'GET',
  path: '/api/poll',
  summary: 'Tell what is new',
  permission: 'holds:write',
  result: z.object({ news: z.number() }),
});

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = `00-${TRACE}-00f067aa0ba902b7-01`;

interface Told {
  readonly name: string;
  readonly traceparent: string | undefined;
  readonly fields: Record<string, unknown>;
  ended?: string | true;
}

/** Keeps what was traced. */
function memoryTracer(): Tracer & { readonly spans: Told[] } {
  const spans: Told[] = [];
  const begin = (name: string, traceparent: string | undefined, fields: object = {}): Span => {
    const told: Told = { name, traceparent, fields: { ...fields } };
    spans.push(told);
    const own = `00-${TRACE}-${String(spans.length).padStart(16, '0')}-01`;
    return {
      traceId: TRACE,
      traceparent: own,
      child: (child, _kind, more) => begin(child, own, more),
      rename: (other) => void Object.assign(told, { name: other }),
      note: (more) => void Object.assign(told.fields, more),
      end: (fault) => void (told.ended ??= fault ?? true),
    };
  };
  return { spans, begin: (name, _kind, traceparent, fields) => begin(name, traceparent, fields) };
}

describe.each(ADAPTERS)('%s', (_name, adapter) => {
  const said = async () => ({ sent: [{ ...requestContext.origin() }] });

  it.each([
    ['the id that the client gives', { 'x-request-id': 'asked-0001' }, 'asked-0001'],
    ['the id, also beside a trace', { 'x-request-id': 'asked-0002', traceparent: PARENT }, 'asked-0002'],
    ['the id of the trace', { traceparent: PARENT }, TRACE],
    ['a later version of a trace', { traceparent: `cc-${PARENT.slice(3)}-more` }, TRACE],
    ['the trace when its id is no id', { 'x-request-id': 'a b', traceparent: PARENT }, TRACE],
  ])('knows a request by %s', async (_what, headers, expected) => {
    const service = await start(adapter, { routes: [serve(echo).with(said)] });
    const answer = await call(service, 'POST /api/echo', { headers, body: {} });
    expect(answer.headers['x-request-id']).toBe(expected);
    expect(answer.json['sent']).toEqual([
      { requestId: expected, ...('traceparent' in headers && { traceparent: PARENT }) },
    ]);
  });

  it.each([
    '',
    'short',
    'x'.repeat(129),
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `ff-${TRACE}-00f067aa0ba902b7-01`,
    `${PARENT}-more`,
    PARENT.toUpperCase(),
    `00-${TRACE}-00f067aa0ba902b7-01${'-'.repeat(600)}`,
  ])('believes neither an id nor a trace that reads %j', async (nonsense) => {
    const service = await start(adapter, { routes: [serve(echo).with(said)] });
    const bad = nonsense.length > 55 ? nonsense.slice(0, 130) : nonsense;
    const headers = { 'x-request-id': `!${bad}`, traceparent: nonsense };
    const answer = await call(service, 'POST /api/echo', { headers, body: {} });
    expect(answer.json['sent']).toEqual([{ requestId: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-/) }]);
  });

  it('tells of each request once, with its id, who asked and how it went', async () => {
    const service = await start(adapter, {
      routes: [
        serve(ping).with(() => {
          throw new AppError('STORAGE_FULL');
        }),
        serve(readThing).with(async () => ({ id: alice, name: 'lamp' })),
      ],
    });
    await call(service, 'GET /api/ping', { headers: { 'x-request-id': 'asked-0003' } });
    await call(service, `GET /api/things/${alice}?view=long`, { headers: bearer(userToken()) });
    await call(service, 'GET /nowhere');
    await call(service, 'GET /health/live');
    const answered = () => service.logger.lines.filter(({ message }) => message === 'answered');
    await eventually(() => answered().length === 4);
    const lines = answered();
    expect(lines.map(({ level, fields }) => [level, fields?.['route'], fields?.['status'], fields?.['code']])).toEqual([
      ['info', '/api/ping', 503, 'storage_full'],
      ['info', '/api/things/:id', 200, undefined],
      ['info', 'other', 404, 'not_found'],
      ['debug', '/health/live', 200, undefined],
    ]);
    expect(service.observed.map(({ failure }) => failure)).toEqual(['storage_full', undefined, 'not_found', undefined]);
  });

  it('writes no line for what services ask all day, unless it fails', async () => {
    const routes = [serve(poll).with(async () => ({ news: 0 }))];
    const quiet = await start(adapter, { routes });
    const service = await start(adapter, {
      routes,
      limit: async () => {
        throw new AppError('RATE_LIMITED');
      },
    });
    for (const each of [service, quiet]) await call(each, 'GET /api/poll', { headers: bearer(serviceToken()) });
    const told = (each: typeof service) => each.logger.lines.map(({ level, message }) => `${level}: ${message}`);
    await eventually(() => told(service).length > 0 && told(quiet).length > 0);
    expect(told(service)).toEqual(['info: answered']);
    expect(told(quiet)).toEqual(['debug: answered']);
  });

  it('traces a request from whoever asked to the neighbours it asks, and ends each step', async () => {
    const tracer = memoryTracer();
    const neighbour = await start(adapter, { routes: [serve(echo).with(said)] });
    const client = createClient({ echo }, { baseUrl: neighbour.url, timeoutMs: 10_000 });
    const service = await start(adapter, {
      tracer,
      routes: [serve(echo).with(async () => client.echo({ body: {} }))],
    });
    const headers = { traceparent: PARENT, 'x-request-id': 'asked-0004' };
    const answer = await call(service, 'POST /api/echo', { headers, body: {} });
    await client.close();
    await eventually(() => tracer.spans.every(({ ended }) => ended !== undefined));
    expect(tracer.spans).toMatchObject([
      {
        name: 'POST /api/echo',
        traceparent: PARENT,
        fields: { 'http.route': '/api/echo', 'http.response.status_code': 200, 'tollgate.request_id': 'asked-0004' },
        ended: true,
      },
      { name: 'echo', traceparent: `00-${TRACE}-0000000000000001-01`, ended: true },
    ]);
    expect(answer.json['sent']).toEqual([{ requestId: 'asked-0004', traceparent: `00-${TRACE}-0000000000000002-01` }]);
  });
});

describe('the rest of a request', () => {
  const origin = { requestId: 'asked-0005', traceparent: PARENT };
  const seen = async () => requestContext.get();

  it('goes on under its id, as a part of its trace', async () => {
    const tracer = memoryTracer();
    const ids = await asPartOf(origin, { name: 'settle', tracer }, seen);
    expect(ids).toMatchObject({ requestId: 'asked-0005' });
    expect(tracer.spans).toMatchObject([{ name: 'settle', traceparent: PARENT, ended: true }]);
  });

  it('hands on the trace where nothing is traced', async () => {
    expect(await asPartOf(origin, { name: 'settle' }, async () => requestContext.origin())).toEqual(origin);
  });

  it('is not begun anew within the request', async () => {
    const tracer = memoryTracer();
    const ids = { requestId: 'asked-0005', userId: 'alice' };
    expect(await requestContext.run(ids, () => asPartOf(origin, { name: 'settle', tracer }, seen))).toBe(ids);
    expect(tracer.spans).toEqual([]);
  });

  it('says of what went wrong only the code', async () => {
    const tracer = memoryTracer();
    const failing = async () => {
      throw new AppError('UPSTREAM_FAILED', 'with words of the prompt');
    };
    await expect(asPartOf(origin, { name: 'settle', tracer }, failing)).rejects.toThrow();
    expect(tracer.spans[0]?.ended).toBe('upstream_failed');
  });
});
