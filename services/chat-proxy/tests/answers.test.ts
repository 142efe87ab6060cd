import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { FLOWISE_SECRETS, startChat } from '@tollgate/test-kit';
import { request } from 'undici';
import { type Person, type Proxy, startProxy, until } from './fixtures/proxy.ts';
import { askOf, type AskBody, names, STORE, STREAM } from './fixtures/asking.ts';

let proxy: Proxy;
let alice: Person;

beforeAll(async () => {
  proxy = await startProxy();
});
afterAll(() => proxy.stop());
beforeEach(async () => {
  proxy.flowise.reset();
  proxy.openai.reset();
  proxy.accounting.isAway = false;
  proxy.accounting.settlements.length = 0;
  alice = await proxy.person();
});

const chain = () => proxy.flowise.chain.id;
const ask = (question: string, chatflowId = chain(), sessionId?: string) => askOf(question, chatflowId, sessionId);
const stream = (person: Person, body: AskBody, path = STORE) => startChat(proxy.url + path, person.token, body);
// A second, and what a busy machine needs besides; left alone the upstream would wait or go on for longer.
const PROMPTLY_MS = 2500;
const settled = () => until(() => proxy.accounting.openHolds() === 0);

describe('a streamed answer', () => {
  it('of a chain: events, price, balance, history', async () => {
    const call = await (await stream(alice, ask('What is a toll?'))).toEnd();
    expect([call.status, call.cut, call.headers['content-type']]).toEqual([200, false, 'text/event-stream']);
    expect(names(call).filter((name) => name !== 'token')).toEqual(['session_id', 'start', 'metadata', 'usage', 'end']);
    expect(call.events[0]).toMatchObject({ chatflow_id: chain(), status: 'streaming_started' });
    expect(call.text).toBe('Echo: What is a toll?');
    const usage = call.data('usage');
    expect(usage).toMatchObject({ credits: 1, remaining_credits: 999, estimated: true });
    expect(proxy.accounting.balanceOf(alice.userId)).toBe(999);
    const sessionId = String(call.events[0]?.data);
    const { body } = await alice.call<{ history: object[] }>('GET', `/api/v1/chat/sessions/${sessionId}/history`);
    expect(body.history).toMatchObject([
      { role: 'user', content: 'What is a toll?' },
      { role: 'assistant', content: call.text, status: 'completed', credits: 1, request_id: usage?.request_id },
    ]);
    expect(call.data('metadata')).toMatchObject({ chatId: sessionId, sessionId });
  });

  it('of an agent flow is charged by its reported usage and shows nothing of the flow', async () => {
    proxy.flowise.next({ usage: { input: 9000, output: 4000 } });
    const call = await (await stream(alice, ask('Sum it up', proxy.flowise.agentflow.id))).toEnd();
    expect(call.data('usage')).toMatchObject({ credits: 4, input_tokens: 9000, output_tokens: 4000, estimated: false });
    expect(proxy.accounting.balanceOf(alice.userId)).toBe(996);
    const shown = JSON.stringify(call.events);
    for (const secret of Object.values(FLOWISE_SECRETS)) expect(shown).not.toContain(secret);
    expect(shown).not.toMatch(/agentFlowExecutedData|usageMetadata/);
    for (const id of [proxy.flowise.requests[0]?.chatId, proxy.flowise.requests[0]?.sessionId])
      expect(shown).not.toContain(id);
  });

  it('of a model sends a limit the hold covers, and is charged by its usage', async () => {
    const call = await (await stream(alice, ask('one two three', 'model:priced'))).toEnd();
    expect(call.data('usage')).toMatchObject({ credits: 4, remaining_credits: 996, estimated: false });
    expect(proxy.openai.requests[0]?.body).toMatchObject({
      max_tokens: 1000,
      stream_options: { include_usage: true },
      n: 1,
    });
    expect([call.data('usage'), call.headers['x-max-output-tokens']]).toMatchObject([{ clamped_to: 1000 }, '1000']);
  });

  it('of a model remembers the conversation', async () => {
    const first = await (await stream(alice, ask('My name is Ada', 'model:priced'))).toEnd();
    await (await stream(alice, ask('What did I say?', 'model:priced', String(first.events[0]?.data)))).toEnd();
    expect(JSON.stringify(proxy.openai.requests[1]?.body)).toContain('My name is Ada');
  });

  it('is one JSON object a line when that is asked for', async () => {
    const response = await request(proxy.url + STREAM, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${alice.token}`,
        'content-type': 'application/json',
        accept: 'application/x-ndjson',
      },
      body: JSON.stringify(ask('Hi')),
    });
    const lines = (await response.body.text())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(response.headers['content-type']).toBe('application/x-ndjson');
    expect(lines.at(-1)).toEqual({ event: 'end', data: '[DONE]' });
  });

  it('has ids, and comments that keep it alive while the upstream is silent', async () => {
    proxy.flowise.next({ tokens: 2, tokenDelayMs: 250 });
    const response = await request(proxy.url + STREAM, {
      method: 'POST',
      headers: { authorization: `Bearer ${alice.token}`, 'content-type': 'application/json' },
      body: JSON.stringify(ask('Hi')),
    });
    const text = await response.body.text();
    expect(text).toMatch(/^id:1\ndata:\{"event":"session_id"/);
    expect(text.match(/^:heartbeat\n\n/gm)?.length).toBeGreaterThanOrEqual(2);
  });

  it('in one piece carries the same figures', async () => {
    const { status, body } = await alice.call('POST', '/api/v1/chat/predict', ask('In one piece'));
    expect([status, body]).toMatchObject([
      200,
      {
        response: 'Echo: In one piece',
        metadata: { cost: 1, remaining_credits: 999, streaming: false, usage: { credits: 1 } },
      },
    ]);
    const { body: listed } = await alice.call('GET', '/api/v1/chat/sessions');
    expect(listed).toMatchObject({ sessions: [], count: 0 });
  });

  it('may come from a flow that does not stream, or sends no token', async () => {
    proxy.flowise.setFlows([{ ...proxy.flowise.chain, streams: false }, proxy.flowise.agentflow]);
    const whole = await (await stream(alice, ask('Plain JSON'))).toEnd();
    proxy.flowise.setFlows([{ ...proxy.flowise.chain, streams: true }, proxy.flowise.agentflow]);
    proxy.flowise.next({ withholdTokens: true });
    const silent = await (await stream(alice, ask('No token'))).toEnd();
    expect([whole.text, silent.text]).toEqual(['Echo: Plain JSON', 'Echo: No token']);
    expect([names(whole).at(-1), names(silent).at(-1)]).toEqual(['end', 'end']);
  });

  it('of 5 MB reaches a client whole', async () => {
    proxy.flowise.next({ tokens: Array.from({ length: 100 }, (_, at) => `${at}`.padEnd(50_000, 'x')) });
    const call = await (await stream(alice, ask('Much'), STREAM)).toEnd();
    expect([call.text.length, names(call).at(-1)]).toEqual([5_000_000, 'end']);
  });
});

describe('a client that leaves', () => {
  it('before the first byte pays nothing, and the upstream is stopped', async () => {
    proxy.flowise.next({ firstTokenDelayMs: 5000 });
    const leaving = new AbortController();
    const call = startChat(proxy.url + STORE, alice.token, ask('Wait'), leaving.signal).catch(() => undefined);
    await proxy.flowise.untilCall(0);
    const left = Date.now();
    leaving.abort();
    await call;
    await proxy.flowise.untilClosed(0);
    expect(Date.now() - left).toBeLessThan(PROMPTLY_MS);
    await settled();
    expect(proxy.accounting.balanceOf(alice.userId)).toBe(1000);
    expect(proxy.accounting.settlements).toMatchObject([{ kind: 'void' }]);
    // Given back side by side with the credits.
    await until(async () => (await proxy.db.collection('sessions').countDocuments({ user_id: alice.userId })) === 0);
  });

  it('after some tokens pays for these, and the flow is told to stop', async () => {
    proxy.openai.next({ tokens: 200, tokenDelayMs: 20 });
    const call = await stream(alice, ask('Go on', 'model:priced'));
    await call.until('token', 5);
    call.hangUp();
    const left = Date.now();
    await proxy.openai.untilClosed(0);
    expect(Date.now() - left).toBeLessThan(PROMPTLY_MS);
    await settled();
    const [settlement] = proxy.accounting.settlements;
    expect(settlement).toMatchObject({ kind: 'settle', outcome: 'aborted' });
    const output = settlement?.units?.output ?? 0;
    expect(output).toBeGreaterThanOrEqual(5);
    expect(output).toBeLessThanOrEqual((proxy.openai.requests[0]?.tokensSent ?? 0) + 1);
    expect(proxy.accounting.balanceOf(alice.userId)).toBe(1000 - output);
    const sessionId = String(call.events[0]?.data);
    // Settled and saved side by side.
    const history = () => alice.call<{ history: object[] }>('GET', `/api/v1/chat/sessions/${sessionId}/history`);
    await until(async () => (await history()).status === 200);
    expect((await history()).body.history.at(-1)).toMatchObject({ status: 'aborted', credits: output });
  });

  it('has its agent flow aborted by name', async () => {
    proxy.flowise.next({ tokens: 100, tokenDelayMs: 20 });
    const call = await stream(alice, ask('Go on', proxy.flowise.agentflow.id));
    await call.until('token', 2);
    call.hangUp();
    const chatId = (await proxy.flowise.untilCall(0)).chatId;
    await proxy.flowise.untilAborted(chatId);
    expect((await proxy.flowise.untilGenerated(0)).generation).toBe('aborted');
    await settled();
  });
});
