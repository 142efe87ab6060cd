import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import { directive } from '@tollgate/test-kit';
import sdk from 'flowise-sdk';
import { resetFakes } from '../fixtures/asking.ts';
import { makeKey } from '../fixtures/key-book.ts';
import { type Person, type Proxy, startProxy, until } from '../fixtures/proxy.ts';

let proxy: Proxy;
let alice: Person;
beforeAll(async () => {
  proxy = await startProxy();
  alice = await proxy.person({ balance: 100_000 });
});
afterAll(() => proxy.stop());
beforeEach(() => resetFakes(proxy));
// Holds of refused answers are closed when nobody waits for it any more.
afterEach(() => until(() => proxy.accounting.openHolds() === 0));

interface Event {
  readonly event: string;
  readonly data: unknown;
  readonly [field: string]: unknown;
}

const agent = () => proxy.flowise.agentflow.id;
const client = (apiKey = alice.token) => new sdk.FlowiseClient({ baseUrl: proxy.url, apiKey });
const ask = (question: string, more: object = {}) => ({ chatflowId: proxy.flowise.chain.id, question, ...more });

async function streamed(question: string, more: object = {}, apiKey = alice.token): Promise<Event[]> {
  const events: Event[] = [];
  const answer = await client(apiKey).createPrediction({ ...ask(question, more), streaming: true });
  for await (const event of answer) events.push(event as Event);
  return events;
}
const names = (events: readonly Event[]) => events.map(({ event }) => event);
const dataOf = <T = Record<string, unknown>>(events: readonly Event[], name: string) =>
  events.find(({ event }) => event === name)?.data as T;
const textOf = (events: readonly Event[]) =>
  events.flatMap(({ event, data }) => (event === 'token' ? [String(data)] : [])).join('');

describe('flowise-sdk, unmodified, with an access token as its key', () => {
  it('streams an answer that begins with start, names the chat by the id the client chose, tells its price and ends', async () => {
    const events = await streamed(`${directive({ tokens: 5 })}Hello`, { chatId: 'my chat / 1' });
    expect(names(events)).toEqual(['start', ...Array(5).fill('token'), 'metadata', 'usage', 'end']);
    expect(dataOf(events, 'metadata')).toMatchObject({ chatId: 'my chat / 1', sessionId: 'my chat / 1' });
    const usage = dataOf(events, 'usage');
    expect(dataOf(events, 'metadata')['chatMessageId']).toBe(usage['request_id']);
    expect(events.at(-1)).toEqual({ event: 'end', data: '[DONE]' });
    expect(proxy.accounting.settlements).toMatchObject([{ kind: 'settle', holdId: usage['request_id'] }]);
    await until(() => proxy.accounting.openHolds() === 0);
  });

  it('gets an answer in one piece with every field that clients of Flowise read', async () => {
    const answer = await client().createPrediction(ask(`${directive({ tokens: 3 })}Hello`));
    expect(answer).toMatchObject({
      text: expect.stringMatching(/\S/),
      question: expect.stringContaining('Hello'),
      chatId: expect.stringMatching(/^[\da-f-]{36}$/),
      chatMessageId: answer['usage'].request_id,
      memoryType: 'Buffer Memory',
      usage: { credits: expect.any(Number), estimated: true },
    });
    expect(answer['sessionId']).toBe(answer['chatId']);
    expect(JSON.stringify(answer)).not.toContain((await proxy.flowise.untilCall(0)).chatId);
  });

  it('goes on with a conversation by the id that it was told or that it chose, and with no other', async () => {
    const first = await client().createPrediction(ask('My name is Ada'));
    await client().createPrediction(ask('What is my name?', { chatId: first['chatId'] }));
    await client().createPrediction(ask('And now?', { overrideConfig: { sessionId: 'elsewhere' } }));
    await client().createPrediction(ask('And then?', { chatId: 'x', overrideConfig: { sessionId: 'elsewhere' } }));
    const memories = await Promise.all([0, 1, 2, 3].map(async (at) => (await proxy.flowise.untilCall(at)).sessionId));
    expect(memories[1]).toBe(memories[0]);
    expect(memories[3]).toBe(memories[2]);
    expect(memories[2]).not.toBe(memories[0]);
    expect(memories).not.toContain('elsewhere');
  });

  it('asks a chatflow that is not public, although its probe carries no key', async () => {
    const { id } = proxy.flowise.agentflow;
    await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${id}`, { is_public: false });
    proxy.auth.add(alice.userId, 'alice');
    await proxy.admin.call('POST', `/api/v1/admin/chatflows/${id}/users`, { email: 'alice@example.test' });
    const events = await streamed('Hello', { chatflowId: id });
    expect(textOf(events)).not.toBe('');
    expect(names(events).filter((name) => name === 'start')).toEqual([]); // its bubble is opened by agentFlowEvent
    expect(names(events)).not.toContain('agentFlowExecutedData');
  });

  it('streams a model, which knows nothing of Flowise, in the same events', async () => {
    const events = await streamed(`${directive({ tokens: 4 })}Hello`, { chatflowId: 'model:priced', chatId: 'm' });
    expect(names(events)).toEqual(['start', ...Array(4).fill('token'), 'metadata', 'usage', 'end']);
    expect(dataOf(events, 'metadata')).toMatchObject({ chatId: 'm', question: expect.stringContaining('Hello') });
  });
});

describe('a refusal before the first byte', () => {
  const refusals: [string, number, string, () => Promise<{ key: string; more?: object; question?: string }>][] = [
    ['a key that does not count', 401, 'invalid_token', async () => ({ key: `${makeKey('x', []).text}y` })],
    ['no credits', 402, 'insufficient_credits', async () => ({ key: (await proxy.person({ balance: 0 })).token })],
    [
      'too many requests',
      429,
      'rate_limited',
      async () => {
        proxy.accounting.refusal = new AppError('RATE_LIMITED', undefined, { headers: { 'retry-after': '3' } });
        return { key: alice.token };
      },
    ],
    [
      'an upstream that fails',
      502,
      'upstream_failed',
      async () => ({ key: alice.token, question: directive({ errorEvent: { after: 0 } }) }),
    ],
    [
      'a chatflow that does not exist',
      403,
      'chatflow_access_denied',
      async () => ({ key: alice.token, more: { chatflowId: 'nowhere' } }),
    ],
  ];

  it.each(refusals)(
    'for %s is thrown with its status by the stream, and nothing stays reserved',
    async (_name, status, _code, situation) => {
      const { key, more, question = 'Hello' } = await situation();
      await expect(streamed(question, more, key)).rejects.toThrow(`HTTP error! status: ${status}`);
      await until(() => proxy.accounting.openHolds() === 0);
    },
  );

  it.each(refusals)(
    'for %s, which the SDK returns as if it were an answer, says so in the fields of Flowise',
    async (_name, statusCode, code, situation) => {
      const { key, more, question = 'Hello' } = await situation();
      const answer = await client(key).createPrediction({ ...ask(question), ...more });
      expect(answer).toMatchObject({ statusCode, success: false, message: expect.stringMatching(/^[A-Z]/), code });
      expect(answer).not.toHaveProperty('text');
    },
  );
});

describe('after the first byte', () => {
  it('a failure is an error event with a sentence and no end, and what was produced is charged', async () => {
    const events = await streamed(directive({ tokens: 6, errorEvent: { after: 3 } }));
    expect(names(events).slice(-1)).toEqual(['error']);
    expect(events.at(-1)).toMatchObject({ data: 'The AI server failed to answer', code: 'upstream_failed' });
    expect(names(events)).not.toContain('end');
    await until(() => proxy.accounting.settlements.length === 1);
    expect(proxy.accounting.settlements).toMatchObject([{ kind: 'settle' }]);
  });

  it('the abort route stops the answer at the upstream, and the stream ends cleanly with what it cost', async () => {
    const { id } = proxy.flowise.agentflow;
    const events: Event[] = [];
    const slow = directive({ tokens: 100_000, tokenDelayMs: 2 });
    const answer = await client().createPrediction({
      ...ask(slow, { chatflowId: id, chatId: 'stop me' }),
      streaming: true,
    });
    for await (const event of answer) {
      events.push(event as Event);
      if (names(events).filter((name) => name === 'token').length !== 3) continue;
      const path = `/api/v1/chatmessage/abort/${id}/${encodeURIComponent('stop me')}`;
      const mallory = await proxy.person();
      for (const person of [mallory, alice])
        expect(await person.call('PUT', path)).toMatchObject({
          status: 200,
          body: { message: 'Chat message aborted' },
        });
    }
    expect(names(events).slice(-4)).toEqual(['metadata', 'usage', 'abort', 'end']);
    const { chatId } = await proxy.flowise.untilCall(0);
    await proxy.flowise.untilAborted(chatId);
    expect(chatId).not.toBe('stop me');
    await until(() => proxy.accounting.openHolds() === 0);
    expect(proxy.accounting.settlements).toMatchObject([{ kind: 'settle', outcome: 'aborted' }]);
  });

  it.each(['here', 'by way of another process'])(
    'a chat id stops the answer in a conversation that overrideConfig.sessionId has named, %s',
    async (where) => {
      const door = where === 'here' ? undefined : await proxy.sibling();
      const named = { chatflowId: agent(), chatId: 'the window', overrideConfig: { sessionId: `the page, ${where}` } };
      const events: Event[] = [];
      const slow = ask(directive({ tokens: 100_000, tokenDelayMs: 2 }), named);
      for await (const event of await client().createPrediction({ ...slow, streaming: true })) {
        events.push(event as Event);
        if (names(events).filter((name) => name === 'token').length !== 3) continue;
        const path = `/api/v1/chatmessage/abort/${agent()}/the%20window`;
        for (const { token } of [await proxy.person(), alice])
          await fetch((door ?? proxy).url + path, { method: 'PUT', headers: { authorization: `Bearer ${token}` } });
      }
      expect(names(events).slice(-4)).toEqual(['metadata', 'usage', 'abort', 'end']);
      await until(() => proxy.accounting.openHolds() === 0);
      await door?.stop();
    },
  );

  it('a chat id finds the conversation that overrideConfig.sessionId has named: to rate, read and delete', async () => {
    const [chatId, sessionId] = ['a window', 'a page'];
    const named = { chatflowId: agent(), chatId, overrideConfig: { sessionId } };
    const { chatMessageId: messageId } = await client().createPrediction(ask('Hello', named));
    const rating = { chatflowid: agent(), chatId, messageId, rating: 'THUMBS_UP', content: '' };
    expect(await alice.call('POST', `/api/v1/feedback/${agent()}`, rating)).toMatchObject({ status: 200 });
    const path = `/api/v1/chatmessage/${agent()}?chatId=${encodeURIComponent(chatId)}`;
    expect((await alice.call('GET', path)).body).toHaveLength(2);
    const mallory = await proxy.person();
    expect((await mallory.call('GET', path)).body).toEqual([]);
    expect((await alice.call('DELETE', path)).body).toMatchObject({ affected: 2 });
    const page = `/api/v1/chatmessage/${agent()}?sessionId=${encodeURIComponent(sessionId)}`;
    expect((await alice.call('GET', page)).body).toEqual([]);
  });
});
