import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { request } from 'undici';
import { type FakeFlowise, startFakeFlowise } from '../src/fakes/fake-flowise.ts';
import { CHAIN_FLOW } from '../src/fakes/flowise/flowise-flows.ts';
import { directive, type Scenario } from '../src/fakes/scenario.ts';
import { payloads, post, rawExchange } from './wire.ts';

let fake: FakeFlowise;
beforeAll(async () => {
  fake = await startFakeFlowise();
});
beforeEach(() => fake.reset());
afterAll(() => fake.stop());

const UNKNOWN = '00000000-0000-4000-8000-000000000000';
const predict = (flowId: string, body: object, options?: Parameters<typeof post>[2]) =>
  post(`${fake.url}/api/v1/prediction/${flowId}`, body, options);
const ask = (scenario: Scenario, text = 'hi') => `${text} ${directive(scenario)}`;
const abort = (flowId: string, chatId: string) =>
  request(`${fake.url}/api/v1/chatmessage/abort/${flowId}/${chatId}`, { method: 'PUT' }).then((res) => res.body.json());

describe('a prediction in JSON', () => {
  it('has the fields of a chain or of an agent flow', async () => {
    const chain = await predict(fake.chain.id, { question: 'hello' }).then((res) => res.body.json());
    expect(Object.keys(chain as object)).toEqual([
      'text',
      'question',
      'chatId',
      'chatMessageId',
      'isStreamValid',
      'sessionId',
      'memoryType',
    ]);
    expect(chain).toMatchObject({ text: 'Echo: hello', question: 'hello', memoryType: 'Buffer Memory' });
    const agent = await predict(fake.agentflow.id, { question: 'hello' }).then((res) => res.body.json());
    expect(agent).toMatchObject({
      text: 'Echo: hello',
      agentFlowExecutedData: [{ nodeLabel: 'Start' }, { data: { output: { usageMetadata: { output_tokens: 2 } } } }],
    });
    expect(JSON.stringify(agent)).not.toContain('FLOWISE_CREDENTIAL_ID');
  });

  it('is what a flow that cannot stream answers to streaming', async () => {
    fake.setFlows([{ ...CHAIN_FLOW, streams: false }]);
    const res = await predict(CHAIN_FLOW.id, { question: 'x', streaming: true });
    fake.setFlows([fake.chain, fake.agentflow]);
    expect(res.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(await res.body.json()).toMatchObject({ text: 'Echo: x' });
  });

  it('takes documents into the question and ignores what it is not told to override', async () => {
    const uploads = [{ type: 'file:full', name: 'a.txt', mime: 'text/plain', data: 'INSIDE' }];
    const res = await predict(fake.chain.id, { question: 'see', uploads, overrideConfig: { temperature: 1 } });
    expect(await res.body.json()).toMatchObject({ text: "Echo: <doc name='a.txt'>INSIDE</doc> see", question: 'see' });
  });

  it('fails with a 500 for whatever the model says', async () => {
    const res = await predict(fake.chain.id, { question: ask({ errorEvent: { message: '429 slow down' } }) });
    expect(res.statusCode).toBe(500);
    expect(await res.body.json()).toEqual({
      statusCode: 500,
      success: false,
      message: 'Error: predictionsServices.buildChatflow - 429 slow down',
      stack: {},
    });
  });
});

describe('refused predictions', () => {
  it.each([
    ['an unknown flow', UNKNOWN, 404],
    ['an id that is no UUID', 'nonsense', 400],
    ['no id', '', 412],
  ])('of %s have a status in JSON and hang when streaming was wanted', async (_, flowId, status) => {
    const plain = await predict(flowId, { question: 'x' });
    expect([plain.statusCode, await plain.body.json()]).toMatchObject([status, { success: false }]);
    const leave = new AbortController();
    const silent = predict(flowId, { question: 'x', streaming: true }, { signal: leave.signal });
    await fake.untilCall(1);
    expect(fake.requests[1]?.closing).toBeUndefined();
    leave.abort();
    await expect(silent).rejects.toThrow();
    expect(await fake.untilClosed(1)).toMatchObject({ by: 'client' });
  });

  it('hide a wrong flow key in a 500 or in a stream with status 200', async () => {
    fake.setFlows([{ ...CHAIN_FLOW, apiKey: 'flow-key' }]);
    const plain = await predict(CHAIN_FLOW.id, { question: 'x' });
    const stream = await predict(CHAIN_FLOW.id, { question: 'x', streaming: true });
    const right = await predict(CHAIN_FLOW.id, { question: 'x' }, { headers: { authorization: 'Bearer flow-key' } });
    fake.setFlows([fake.chain, fake.agentflow]);
    expect([plain.statusCode, stream.statusCode, right.statusCode]).toEqual([500, 200, 200]);
    expect(await plain.body.text()).toContain('predictionsServices.buildChatflow - Unauthorized');
    expect(payloads(await stream.body.text()).map((data) => JSON.parse(data).event)).toEqual(['error', 'end']);
    await right.body.dump();
  });

  it.each([
    [{ chatId: { $ne: 1 } }, 'Invalid chatId'],
    [{ overrideConfig: { sessionId: 5 } }, 'Invalid sessionId'],
    [{ form: { a: 1 } }, 'Question and form'],
  ])('name the wrong field: %j', async (body, reason) => {
    const res = await predict(fake.chain.id, { question: 'x', ...body });
    expect([res.statusCode, await res.body.text()]).toEqual([500, expect.stringContaining(reason)]);
  });

  it('leave the queue of scenarios to the calls that run', async () => {
    fake.next({ tokens: ['queued'] });
    await predict(UNKNOWN, { question: 'x' }).then((res) => res.body.dump());
    const res = await predict(fake.chain.id, { question: 'x' });
    expect(await res.body.json()).toMatchObject({ text: 'queued' });
  });

  it('answer broken JSON with 400', async () => {
    const res = await request(`${fake.url}/api/v1/prediction/${fake.chain.id}`, {
      method: 'POST',
      body: '{"question":',
    });
    expect(res.statusCode).toBe(400);
    await res.body.dump();
  });
});

describe('sessions', () => {
  it('remember per flow and session, and forget what is deleted', async () => {
    const say = (flowId: string, question: string, more: object = {}) =>
      predict(flowId, { question, ...more }).then((res) => res.body.json());
    await say(fake.chain.id, 'my name is alice', { chatId: 'a' });
    expect(await say(fake.chain.id, 'what did I say', { chatId: 'a' })).toMatchObject({
      text: 'You told me: my name is alice',
    });
    expect(await say(fake.chain.id, 'what did I say', { chatId: 'b' })).toMatchObject({
      text: 'You told me nothing yet',
    });
    expect(await say(fake.agentflow.id, 'what did I say', { chatId: 'a' })).toMatchObject({
      text: 'You told me nothing yet',
    });
    const other = { chatId: 'c', overrideConfig: { sessionId: 'a' } };
    expect(await say(fake.chain.id, 'what did I say', other)).toMatchObject({
      chatId: 'c',
      sessionId: 'a',
      text: expect.stringContaining('alice'),
    });
  });

  it('reach the model from the history that the caller sends', async () => {
    const history = [
      { role: 'userMessage', content: 'blue' },
      { message: 'ok', type: 'apiMessage' },
    ];
    const res = await predict(fake.chain.id, { question: 'what did I say', history });
    expect(await res.body.json()).toMatchObject({ text: 'You told me: blue' });
  });

  it('take their id from the chatId, else from the override, else make one up', async () => {
    const ids = async (body: object) => {
      const answer = await predict(fake.chain.id, { question: 'x', ...body }).then((res) => res.body.json());
      const { chatId, sessionId } = answer as { chatId: string; sessionId: string };
      return [chatId, sessionId];
    };
    expect(await ids({ overrideConfig: { sessionId: 's' } })).toEqual(['s', 's']);
    const [chatId, sessionId] = await ids({ chatId: null, overrideConfig: null });
    expect(chatId).toMatch(/^[0-9a-f-]{36}$/);
    expect(sessionId).toBe(chatId);
  });
});

describe('a client that leaves', () => {
  it('does not stop the flow, which stores its whole answer', async () => {
    const leave = new AbortController();
    const question = ask({ tokens: 20, tokenDelayMs: 1 });
    const res = await predict(fake.chain.id, { question, streaming: true, chatId: 'gone' }, { signal: leave.signal });
    await fake.untilSent(0, 3);
    leave.abort();
    await expect(res.body.text()).rejects.toThrow();
    expect(await fake.untilClosed(0)).toMatchObject({ by: 'client' });
    const call = await fake.untilGenerated(0);
    expect(call).toMatchObject({ generation: 'completed', usage: { output: 20 } });
    expect(call.tokensSent).toBeLessThan(20);
    expect(fake.messages(fake.chain.id, 'gone')[1]?.content).toMatch(/^t1 t2.* t20$/);
  });

  it('stops an agent flow through the abort route at once, without storing anything', async () => {
    const question = ask({ tokens: 9, hangAfter: 2 });
    const res = await predict(fake.agentflow.id, { question, streaming: true, chatId: 'stop' });
    await fake.untilSent(0, 2);
    expect(await abort(fake.agentflow.id, 'stop')).toEqual({ status: 200, message: 'Chat message aborted' });
    const events = payloads(await res.body.text()).map((data) => JSON.parse(data));
    expect(events.at(-2)).toEqual({
      event: 'error',
      data: 'Error: predictionsServices.buildChatflow - Error in Agent node: This operation was aborted',
    });
    expect((await fake.untilGenerated(0)).generation).toBe('aborted');
    expect(fake.messages(fake.agentflow.id)).toEqual([]);
    expect(await fake.untilAborted('stop')).toMatchObject({ flowId: fake.agentflow.id, chatId: 'stop' });
  });

  it('cannot stop a chain through it', async () => {
    const question = ask({ tokens: 20, tokenDelayMs: 1 });
    const res = await predict(fake.chain.id, { question, streaming: true, chatId: 'on' });
    await fake.untilSent(0, 1);
    await abort(fake.chain.id, 'on');
    expect(payloads(await res.body.text())).toHaveLength(1 + 20 + 2);
    expect(fake.aborts).toMatchObject([{ chatId: 'on' }]);
    expect(await abort(fake.chain.id, 'nobody')).toEqual({ status: 200, message: 'Chat message aborted' });
  });
});

describe('two streams of one chat', () => {
  it('share one place: the second gets the tokens of both and the first never ends', async () => {
    const first = await predict(fake.chain.id, {
      question: ask({ tokens: ['a1', 'a2', 'a3'], tokenDelayMs: 300 }),
      streaming: true,
      chatId: 'same',
    });
    await fake.untilSent(0, 1);
    const second = await predict(fake.chain.id, {
      question: ask({ tokens: ['b1', 'b2'], tokenDelayMs: 2_000 }),
      streaming: true,
      chatId: 'same',
    });
    const stolen = await second.body.text();
    expect(stolen).toContain('"data":"a3"');
    expect(stolen).toContain('"data":"b1"');
    expect(fake.requests[0]?.closing).toBeUndefined();
    first.body.destroy();
    expect(await fake.untilClosed(0)).toMatchObject({ by: 'client' });
  });
});

describe('keep-alive comments', () => {
  it('come from one clock of the server, before the first token too', async () => {
    const beating = await startFakeFlowise({ heartbeatMs: 5 });
    beating.next({ hangAfter: 0 });
    const body = JSON.stringify({ question: 'x', streaming: true });
    const head = [`POST /api/v1/prediction/${beating.chain.id} HTTP/1.1`, 'Content-Type: application/json'];
    const raw = await rawExchange(beating.port, head, body, (text) => text.split(':heartbeat').length > 2);
    expect(raw.toString()).toContain('c\r\n:heartbeat\n\n\r\n');
    await beating.stop();
  });
});
