import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { operation, PERMISSIONS, withAliases } from '@tollgate/contracts';
import { z } from 'zod';
import { createHealth, serve } from '../src/index.ts';
import { ADAPTERS, call, type Running, start, stopAll } from './kit.ts';
import { echo, makeThing, payThing, ping, readThing, removeThing, replaceThing, tellStory } from './operations.ts';

afterAll(stopAll);

const renamed = operation({
  id: 'renamed',
  method: 'POST',
  path: '/api/renamed',
  summary: 'Accept two spellings',
  permission: 'public',
  body: withAliases(z.strictObject({ sessionId: z.string() }), { session_id: 'sessionId' }),
  result: z.object({ at: z.iso.datetime() }),
  alsoStatus: [202],
});
const operations = [echo, makeThing, payThing, ping, readThing, removeThing, renamed, replaceThing, tellStory];
const routes = operations.map((one) => serve(one).with(() => Promise.reject(new Error('not called'))));

describe.each(ADAPTERS)('%s shows', (_name, adapter) => {
  let service: Running;
  let isDown = false;
  const health = createHealth({
    service: 'things',
    freshMs: 0,
    timeoutMs: 100,
    checks: {
      database: async () => {
        if (isDown) throw new Error('connect ECONNREFUSED db.internal:5432');
      },
    },
  });

  beforeAll(async () => {
    service = await start(adapter, { routes, health, metrics: async () => 'up 1\n' });
  });

  it('that it lives whatever its dependencies do, and readiness by their names only', async () => {
    for (const path of ['/health', '/api/health']) {
      const { json } = await call(service, `GET ${path}`);
      expect(json).toEqual({ status: 'ok', service: 'things', timestamp: expect.stringMatching(/^\d{4}-.*Z$/) });
    }
    expect((await call(service, 'GET /health/ready')).json).toEqual({ status: 'ready', checks: { database: 'ok' } });
    isDown = true;
    const down = await call(service, 'GET /health/ready');
    expect([down.status, down.json]).toEqual([503, { status: 'unavailable', checks: { database: 'failed' } }]);
    expect((await call(service, 'GET /health/live')).status).toBe(200);
    isDown = false;
    expect((await call(service, 'GET /health/ready')).status).toBe(200);
  });

  it('metrics to its own network, but not through a proxy it does not know', async () => {
    const own = await call(service, 'GET /metrics');
    expect([own.status, own.text, own.headers['content-type']]).toEqual([
      200,
      'up 1\n',
      'text/plain; version=0.0.4; charset=utf-8',
    ]);
    for (const address of ['203.0.113.9', '10.0.0.1', '127.0.0.1']) {
      const proxied = await call(service, 'GET /metrics', { headers: { 'x-forwarded-for': address } });
      expect(proxied.json).toMatchObject({ status: 404, code: 'not_found' });
    }
    const behind = await start(adapter, { metrics: async () => 'up 1\n', trustProxyHops: 1 });
    const seen = async (from: string) =>
      (await call(behind, 'GET /metrics', { headers: { 'x-forwarded-for': from } })).status;
    expect([await seen('203.0.113.9'), await seen('10.0.0.1, 203.0.113.9'), await seen('2001:db8::1')]).toEqual([
      404, 404, 404,
    ]);
    expect([
      await seen('10.1.2.3'),
      await seen('172.16.0.1'),
      await seen('192.168.1.1'),
      await seen('fd00::1'),
    ]).toEqual([200, 200, 200, 200]);
    expect(await seen('172.32.0.1')).toBe(404);
  });

  it('metrics to whoever has the token, once there is one, and to nobody else', async () => {
    const guarded = await start(adapter, { metrics: async () => 'up 1\n', metricsTokens: ['scrape-me', 'scraped-me'] });
    const status = async (authorization?: string) =>
      (await call(guarded, 'GET /metrics', { headers: authorization === undefined ? {} : { authorization } })).status;
    for (const token of ['scrape-me', 'scraped-me']) expect(await status(`Bearer ${token}`)).toBe(200);
    for (const other of [undefined, 'Bearer ', 'Bearer scrape-m', 'Bearer scrape-me2', 'scrape-me'])
      expect(await status(other)).toBe(404);
    expect((await call(await start(adapter), 'GET /metrics')).status).toBe(404);
  });

  it('an OpenAPI 3.1 document with every operation, its permission and nothing dangling', async () => {
    const { status, headers, json } = await call(service, 'GET /openapi.json');
    expect([status, headers['content-type']]).toEqual([200, 'application/json; charset=utf-8']);
    expect(json).toMatchObject({ openapi: '3.1.0', info: { title: 'Tollgate things', version: '1.2.3' } });
    const described = Object.entries(json['paths'] as Record<string, Record<string, Described>>).flatMap(
      ([path, methods]) => Object.entries(methods).map(([method, one]) => ({ path, method, ...one })),
    );
    expect(described.map(({ operationId }) => operationId).sort()).toEqual(operations.map(({ id }) => id).sort());
    for (const one of described) {
      expect(PERMISSIONS).toHaveProperty([one['x-permission']]);
      expect(one.security).toHaveLength(one['x-permission'] === 'public' ? 0 : 1);
      const named = [...one.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const given = (one.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect(given.map(({ name }) => name)).toEqual(named);
      expect(given.every(({ required }) => required)).toBe(true);
      for (const answer of ['400', '429', '500', '503']) expect(Object.keys(one.responses)).toContain(answer);
    }
    for (const [, target = ''] of JSON.stringify(json).matchAll(/"\$ref":"#\/([^"]+)"/g))
      expect(target.split('/').reduce<unknown>((at, key) => Object(at)[key], json)).toBeDefined();
  });

  it('keys, errors, streams and second statuses where the contract has them', async () => {
    const { paths } = (await call(service, 'GET /openapi.json')).json;
    const keyHeader = (required: object) => [
      expect.objectContaining({ in: 'header', name: 'Idempotency-Key', ...required }),
    ];
    expect(paths).toMatchObject({
      '/api/payments': {
        post: {
          parameters: keyHeader({ required: true }),
          responses: {
            402: { description: '`insufficient_credits`' },
            503: { description: expect.stringContaining('`accounting_unavailable`') },
          },
        },
      },
      '/api/echo': { post: { parameters: keyHeader({}) } },
      '/api/story': {
        get: { responses: { 200: { content: { 'text/event-stream': {}, 'application/x-ndjson': {} } } } },
      },
      '/api/renamed': { post: { responses: { 200: {}, 202: {} } } },
    });
    expect(JSON.stringify(Object(paths)['/api/renamed'])).toContain('sessionId');
  });

  it('a documentation page whose scripts and styles are its own', async () => {
    const page = await call(service, 'GET /docs');
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    const assets = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = '']) => path);
    expect(assets).toEqual(['/docs/swagger-ui.css', '/docs/swagger-ui-bundle.js', '/docs/start.js']);
    expect(page.text).not.toMatch(/<script>|style=|onload/);
    for (const path of assets) {
      const { status, headers, text } = await call(service, `GET ${path}`);
      expect(status).toBe(200);
      expect(headers['content-type']).toMatch(path.endsWith('.css') ? /^text\/css/ : /^text\/javascript/);
      expect(headers['content-security-policy']).toContain("script-src 'self'");
      expect(text.length).toBeGreaterThan(50);
    }
    for (const path of ['/docs/package.json', '/docs/../package.json', '/docs/%2e%2e/package.json'])
      expect((await call(service, `GET ${path}`)).status).toBe(404);
  });
});

interface Described {
  readonly operationId: string;
  readonly 'x-permission': string;
  readonly security: readonly unknown[];
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required?: boolean }[];
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: object }>>;
}
