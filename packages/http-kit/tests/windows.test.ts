import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { operation } from '@tollgate/contracts';
import { z } from 'zod';
import { AppError, serve } from '../src/index.ts';
import { ADAPTERS, alice, bearer, call, type Running, serviceToken, start, stopAll, userToken } from './kit.ts';

afterAll(stopAll);

const spec = {
  method: 'GET',
  summary: 'What a chat window asks for',
  dialect: 'flowise',
  permission: 'public',
  result: z.object({ who: z.string() }),
} as const;
const open = operation({ ...spec, id: 'open', path: '/api/open', callerPermission: 'users:read' });
const refuse = operation({ ...spec, id: 'refuse', path: '/api/refuse' });
const routes = [
  serve(open).with((_, caller) => ({ who: caller?.kind === 'user' ? caller.userId : 'anybody' })),
  serve(refuse).with(() => {
    throw new AppError('RATE_LIMITED', 'Slow down');
  }),
];

describe.each(ADAPTERS)('An open operation of %s that knows its callers', (_name, adapter) => {
  it('answers without credentials, knows good ones, and refuses bad ones and those of others', async () => {
    const service = await start(adapter, { routes });
    const ask = (headers: Record<string, string>) => call(service, 'GET /api/open', { headers });
    expect(await ask({})).toMatchObject({ status: 200, json: { who: 'anybody' } });
    expect(await ask(bearer(userToken('admin')))).toMatchObject({ status: 200, json: { who: alice } });
    expect((await ask(bearer('a.b.c'))).status).toBe(401);
    expect((await ask(bearer(userToken('enduser')))).status).toBe(403);
    expect((await ask(bearer(serviceToken()))).status).toBe(403);
  });
});

describe('A service with pages of its own for single paths', () => {
  const shop = 'https://shop.example.test';
  const app = 'https://app.example.test';
  let service: Running;
  beforeAll(async () => {
    const isOriginAllowed = async (origin: string, path: string) => origin === shop && path === '/api/open';
    service = await start(ADAPTERS[1][1], { routes, isOriginAllowed });
  });
  const originsAt = async (path: string, origin: string, method = 'OPTIONS') => {
    const headers = { origin, ...(method === 'OPTIONS' && { 'access-control-request-method': 'GET' }) };
    const answer = await call(service, `${method} ${path}`, { headers });
    return [answer.headers['access-control-allow-origin'], answer.headers['access-control-allow-credentials']];
  };

  it('lets them call those paths without cookies, the listed pages all paths, and others none', async () => {
    for (const method of ['OPTIONS', 'GET']) {
      expect(await originsAt('/api/open?x=1', shop, method)).toEqual([shop, undefined]);
      expect(await originsAt('/api/open', app, method)).toEqual([app, 'true']);
      expect((await originsAt('/api/refuse', shop, method))[0]).toBeUndefined();
      for (const other of ['null', 'https://evil.example.test', `${shop}:444`])
        expect((await originsAt('/api/open', other, method))[0]).toBeUndefined();
    }
  });

  it('tells a client that waits for a stream of events in plain words what came instead, and others in JSON', async () => {
    const asked = (accept: string) => call(service, 'GET /api/refuse', { headers: { accept } });
    const window = await asked('text/event-stream');
    expect(window).toMatchObject({ status: 429, text: 'Slow down' });
    expect(window.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect((await asked('*/*')).json).toMatchObject({ statusCode: 429, success: false, message: 'Slow down' });
  });
});
