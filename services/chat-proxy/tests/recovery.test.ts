import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startChat } from '@tollgate/test-kit';
import { request } from 'undici';
import { type Person, type Proxy, startProxy, tokens, until } from './fixtures/proxy.ts';

const STORE = '/api/v1/chat/predict/stream/store';
const SHORT_LEASES = { JOURNAL_LEASE: '1s', SESSION_LEASE: '1s' };
let proxy: Proxy;
let alice: Person;

beforeAll(async () => {
  proxy = await startProxy({ env: { ...SHORT_LEASES, UPSTREAM_IDLE_TIMEOUT: '10s', CLIENT_STALL_TIMEOUT: '2s' } });
});
afterAll(() => proxy.stop());
beforeEach(async () => {
  proxy.openai.reset();
  proxy.flowise.reset();
  proxy.accounting.isAway = false;
  proxy.accounting.settlements.length = 0;
  alice = await proxy.person();
});

const ask = (chatflowId = 'model:priced') => ({ question: 'Go on', chatflow_id: chatflowId });
const rows = () => proxy.db.collection('open_holds').countDocuments();

describe('accounting that is away at the end', () => {
  it('is told again until it acknowledges; the client notices nothing', async () => {
    proxy.openai.next({ tokens: 6, tokenDelayMs: 20 });
    const call = await startChat(proxy.url + STORE, alice.token, ask());
    await call.until('token');
    proxy.accounting.isAway = true;
    await call.toEnd();
    expect(call.events.at(-1)?.event).toBe('end');
    expect([await rows(), proxy.accounting.openHolds()]).toEqual([1, 1]);
    proxy.accounting.isAway = false;
    await until(async () => (await rows()) === 0);
    expect(proxy.accounting.settlements).toMatchObject([{ kind: 'settle', outcome: 'completed' }]);
    expect(proxy.accounting.balanceOf(alice.userId)).toBe(1000 - 6);
  });
});

describe('a running answer', () => {
  it('is renewed, and its journal row has its progress', async () => {
    proxy.openai.next({ tokens: 400, tokenDelayMs: 10 });
    const call = await startChat(proxy.url + STORE, alice.token, ask());
    await call.until('token', 20);
    const before = proxy.accounting.renewals;
    await until(async () => {
      const row = await proxy.db.collection('open_holds').findOne({ user_id: alice.userId });
      return row?.checkpoint?.output >= 5 && row?.fence === 1;
    });
    await until(() => proxy.accounting.renewals > before);
    expect(proxy.accounting.settlements).toEqual([]);
    call.hangUp();
    await until(async () => (await rows()) === 0);
  });

  it('ends with an error event when its hold was closed elsewhere, without a second charge', async () => {
    proxy.openai.next({ tokens: 400, tokenDelayMs: 10 });
    const call = await startChat(proxy.url + STORE, alice.token, ask());
    await call.until('token', 2);
    const [id] = proxy.accounting.holdIds().slice(-1);
    if (id) proxy.accounting.sweep(id);
    await call.toEnd();
    expect(call.events.at(-1)).toMatchObject({ event: 'error', data: { code: 'hold_closed' } });
    await until(async () => (await rows()) === 0);
    expect(proxy.accounting.settlements).toHaveLength(1);
  });

  it('keeps its conversation busy beyond the lease, for as long as it runs', async () => {
    proxy.openai.next({ tokens: 400, tokenDelayMs: 10 });
    const call = await startChat(proxy.url + STORE, alice.token, ask());
    const sessionId = String((await call.until('session_id'))?.data);
    await call.until('token', 150);
    const second = await startChat(proxy.url + STORE, alice.token, { ...ask(), sessionId });
    expect([second.status, second.problem?.code]).toEqual([409, 'session_busy']);
    call.hangUp();
    await until(async () => (await rows()) === 0);
  });
});

describe('a client that reads nothing', () => {
  it('has its answer ended and settled', async () => {
    proxy.flowise.next({ tokens: Array.from({ length: 400 }, () => 'x'.repeat(50_000)) });
    const call = await startChat(proxy.url + STORE, alice.token, ask(proxy.flowise.chain.id));
    await until(async () => (await rows()) === 0);
    expect(proxy.accounting.settlements).toMatchObject([{ kind: 'settle', outcome: 'aborted', units: { request: 1 } }]);
    call.hangUp();
  });
});

const RECOVERED = { kind: 'settle', outcome: 'recovered', units: { output: 7 } };
const COMPLETED = { kind: 'settle', outcome: 'completed' };
const DECIDED = {
  state: 'ending',
  ending: { kind: 'settle', outcome: 'completed', units: { output: 9 }, usageSource: 'provider' },
};

describe('what a dead process has left', () => {
  it.each([
    { so: 'is struck when accounting knew as much', output: 5, expired: true, settlements: [], paid: 5 },
    { so: 'is corrected to what only the journal knew', output: 7, expired: true, settlements: [RECOVERED], paid: 7 },
    { so: 'is charged as it was decided', output: 7, ...DECIDED, settlements: [COMPLETED], paid: 9 },
  ])('$so', async ({ output, expired = false, settlements, paid, ...left }) => {
    proxy.openai.next({ tokens: 3 });
    await (await startChat(proxy.url + STORE, alice.token, ask())).toEnd();
    await until(async () => (await rows()) === 0);
    proxy.accounting.balances.set(alice.userId, 1000);
    proxy.accounting.settlements.length = 0;
    // A hold as another process would have opened it before it died.
    const holdId = await holdOfAnother(alice);
    if (expired) proxy.accounting.expire(holdId as never, { output: 5 });
    await rowOfAnother(alice, holdId, { checkpoint: { output }, ...left });
    await until(async () => (await rows()) === 0);
    expect(proxy.accounting.settlements).toMatchObject(settlements);
    expect(proxy.accounting.balanceOf(alice.userId)).toBe(1000 - paid);
  });

  it('is left alone while accounting keeps its hold open: its owner may be alive', async () => {
    const holdId = await holdOfAnother(alice);
    const { reads } = proxy.accounting;
    await rowOfAnother(alice, holdId, { checkpoint: { output: 7 } });
    await until(() => proxy.accounting.reads > reads + 1);
    expect([await rows(), proxy.accounting.openHolds(), proxy.accounting.settlements]).toEqual([1, 1, []]);
    proxy.accounting.expire(holdId as never, { output: 7 });
    await until(async () => (await rows()) === 0);
    expect(proxy.accounting.balanceOf(alice.userId)).toBe(993);
  });
});

/** What another process has written about a hold before it fell silent. */
async function rowOfAnother(person: Person, holdId: string, left: object): Promise<void> {
  await proxy.db.collection<{ _id: string }>('open_holds').insertOne({
    _id: holdId,
    user_id: person.userId,
    instance: randomUUID(),
    state: 'open',
    created_at: new Date(),
    lease_until: new Date(Date.now() - 1),
    ...left,
  } as never);
}

async function holdOfAnother(person: Person): Promise<string> {
  const holdId = randomUUID();
  const response = await request(`${proxy.accounting.url}/api/holds`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await tokens.service('chat-proxy', 'accounting')}`,
      'x-on-behalf-of': `Bearer ${person.token}`,
      'content-type': 'application/json',
      'idempotency-key': holdId,
    },
    body: JSON.stringify({ holdId, resource: { upstream: 'openai', model: 'priced' }, units: { output: 100 } }),
  });
  expect(response.statusCode).toBe(201);
  await response.body.dump();
  return holdId;
}

describe('a stop', () => {
  it('ends running answers with an event, settles them, and leaves nothing open', async () => {
    const stopping = await startProxy({ env: { ...SHORT_LEASES, UPSTREAM_IDLE_TIMEOUT: '10s' } });
    const person = await stopping.person();
    stopping.openai.next({ tokens: 400, tokenDelayMs: 20 });
    const call = await startChat(stopping.url + STORE, person.token, ask());
    await call.until('token', 3);
    stopping.deps.endAnswers();
    await call.toEnd();
    expect(call.events.at(-1)).toMatchObject({ event: 'error', data: { code: 'server_shutdown' } });
    const late = await person.call('POST', STORE, ask());
    expect([late.status, late.body.code]).toEqual([503, 'server_shutdown']);
    await stopping.stop();
    expect(stopping.accounting.openHolds()).toBe(0);
    expect(stopping.accounting.settlements.map(({ kind }) => kind)).toEqual(['settle', 'void']);
  });
});
