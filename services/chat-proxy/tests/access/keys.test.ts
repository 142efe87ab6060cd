import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { directive, startChat } from '@tollgate/test-kit';
import { request } from 'undici';
import { makeKey, strikeKey } from '../fixtures/key-book.ts';
import { type Proxy, startProxy, until } from '../fixtures/proxy.ts';

let proxy: Proxy;
beforeAll(async () => {
  proxy = await startProxy({ env: { UPSTREAM_IDLE_TIMEOUT: '60s' } });
});
afterAll(() => proxy.stop());

const CHAT = '/api/v1/chat/predict';

async function call(headers: Record<string, string>, path: string, body?: object) {
  const response = await request(proxy.url + path, {
    method: body ? 'POST' : 'GET',
    headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: response.statusCode, body: (await response.body.json()) as Record<string, unknown> };
}
const ask = { question: directive({ tokens: 3 }), chatflow_id: 'model:priced' };

describe('an API key', () => {
  it('asks a question through every header, at the cost of its owner and in the name of the key', async () => {
    const alice = await proxy.person({ balance: 1000 });
    const { id, text } = makeKey(alice.userId, ['chat:use', 'credits:read-own']);
    for (const headers of [{ authorization: `Bearer ${text}` }, { 'x-api-key': text }, { 'api-key': text }]) {
      expect(await call(headers as Record<string, string>, CHAT, ask)).toMatchObject({ status: 200 });
      expect(proxy.accounting.apiKeyId).toBe(id);
    }
    await until(() => proxy.accounting.openHolds() === 0);
    expect(proxy.accounting.balances.get(alice.userId)).toBe(991);
    expect((await call({ 'x-api-key': text }, '/api/v1/chat/credits')).body).toMatchObject({ totalCredits: 991 });
    // The address of the client, not of a service; and once, although it was used five times.
    const lookups = proxy.auth.lookups.filter(({ key }) => key === text);
    expect(lookups).toEqual([{ key: text, ip: expect.stringMatching(/127\.0\.0\.1$/) }]);
  });

  it('is refused beyond its scopes, its role and its account, before anything else is asked', async () => {
    const admin = await proxy.person({ role: 'admin' });
    const { text } = makeKey(admin.userId, ['chatflows:read', 'profile:read'], 'admin');
    const holds = proxy.accounting.holdCalls;
    for (const [path, body] of [
      [CHAT, ask],
      ['/api/v1/chat/sessions', undefined],
      ['/api/v1/admin/chatflows', undefined],
      ['/api/v1/chat/revoke', {}],
    ] as const)
      expect(await call({ 'x-api-key': text }, path, body)).toMatchObject({
        status: 403,
        body: { code: 'insufficient_scope' },
      });
    expect(proxy.accounting.holdCalls).toBe(holds);
    expect((await call({ 'x-api-key': text }, '/api/v1/chatflows')).status).toBe(200);
    expect((await call({ 'x-api-key': text }, '/api/v1/chat/get_current_user')).status).toBe(200);
  });

  it('that a neighbour gives less than we do is told so: 403, not a fault of ours', async () => {
    const alice = await proxy.person();
    const { text } = makeKey(alice.userId, ['chat:use']);
    expect(await call({ 'x-api-key': text }, '/api/v1/chat/credits')).toMatchObject({
      status: 403,
      body: { code: 'insufficient_scope' },
    });
  });

  it('that is revoked in the middle of an answer ends it with an error event, and what was produced is settled', async () => {
    const alice = await proxy.person();
    const { id, text } = makeKey(alice.userId, ['chat:use']);
    const question = directive({ tokens: 400, hangAfter: 5 });
    const chat = await startChat(`${proxy.url}${CHAT}/stream/store`, text, { question, chatflow_id: 'model:priced' });
    await chat.until('token', 5);
    strikeKey(text);
    const madeAt = Date.now();
    proxy.auth.revocations.push({ kind: 'key', id: `key:${id}:1`, keyId: id, madeAt, reason: 'key-revoked' });
    await chat.toEnd();
    expect(chat.data('error')).toMatchObject({ code: 'key_revoked' });
    expect(chat.events.some(({ data }) => data === '[DONE]')).toBe(false);
    await until(() => proxy.accounting.openHolds() === 0);
    expect(proxy.accounting.settlements.at(-1)).toMatchObject({ outcome: 'failed', units: { output: 5 } });
    expect(await call({ 'x-api-key': text }, CHAT, ask)).toMatchObject({
      status: 401,
      body: { code: 'invalid_token' },
    });
  });
});
