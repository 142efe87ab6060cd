import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { chat, type OperationSpec } from '@tollgate/contracts';
import { badCallsOf, examplePath, startChat } from '@tollgate/test-kit';
import { request } from 'undici';
import { askOf, type AskBody, names, STORE, STREAM } from './fixtures/asking.ts';
import { type Person, type Proxy, startProxy, tokens, until } from './fixtures/proxy.ts';

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
const stream = (person: Person, body: AskBody) => startChat(proxy.url + STORE, person.token, body);

describe('a refusal', () => {
  it('is 402 without credits, and the upstream hears nothing', async () => {
    const poor = await proxy.person({ balance: 0 });
    for (const path of [STORE, STREAM, '/api/v1/chat/predict']) {
      const { status, body } = await poor.call('POST', path, ask('Hi'));
      expect([status, body.code]).toEqual([402, 'insufficient_credits']);
    }
    expect(proxy.flowise.calls()).toBe(0);
    expect(await proxy.db.collection('sessions').countDocuments({ user_id: poor.userId })).toBe(0);
    // Nobody waits for the row to go.
    const owed = () => proxy.db.collection('open_holds').countDocuments({ user_id: poor.userId });
    await until(async () => (await owed()) === 0);
  });

  it('is the same 403 for an unknown chatflow and for one of others', async () => {
    await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${chain()}`, { is_public: false });
    const mine = await alice.call('POST', STORE, ask('Hi'));
    const unknown = await alice.call('POST', STORE, ask('Hi', '11111111-1111-4111-8111-111111111111'));
    await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${chain()}`, { is_public: true });
    const { requestId: _, ...problem } = mine.body;
    expect([mine.status, problem.code]).toEqual([403, 'chatflow_access_denied']);
    expect(unknown.body).toMatchObject(problem);
  });

  it('is 503 with Retry-After while accounting is away', async () => {
    proxy.accounting.isAway = true;
    const { status, body, headers } = await alice.call('POST', STORE, ask('Hi'));
    expect([status, body.code, Number(headers['retry-after']) > 0]).toEqual([503, 'accounting_unavailable', true]);
    expect(proxy.flowise.calls()).toBe(0);
    expect((await alice.call('GET', '/api/v1/chat/credits')).status).toBe(503);
  });

  it.each([
    ['no question', { question: ' ' }],
    ['a session that is no UUID', { sessionId: '1' }],
    ['an unknown field', { model: 'x' }],
    ['an override', { overrideConfig: { openAIBasePath: 'https://example.test' } }],
    ['variables', { overrideConfig: { vars: { a: 1 } } }],
    ['an object as question', { question: { $gt: '' } }],
    ['a bad file', { uploads: [{ data: 'eA==', type: 'file', name: 'x.exe', mime: 'application/x-msdownload' }] }],
  ])('is 400 for %s', async (_, changes) => {
    const { status, body } = await alice.call('POST', STORE, { ...ask('Hi'), ...changes });
    expect([status, body.code, proxy.flowise.calls()]).toEqual([400, 'validation_failed', 0]);
  });

  it('names the session id that is no UUID in the words clients match on', async () => {
    const { body } = await alice.call('POST', STORE, ask('Hi', chain(), 'x'));
    expect(body.detail).toBe('Invalid sessionId format. Must be a valid UUID.');
  });
});

describe('a conversation', () => {
  it('belongs to its user: others can neither continue, read nor delete it', async () => {
    const call = await (await stream(alice, ask('Mine'))).toEnd();
    const sessionId = String(call.events[0]?.data);
    const mallory = await proxy.person();
    const path = `/api/v1/chat/sessions/${sessionId}`;
    const answers = [
      await mallory.call('POST', STORE, ask('What did I say?', chain(), sessionId)),
      await mallory.call('GET', `${path}/history`),
      await mallory.call('DELETE', path),
      await alice.call('POST', STORE, ask('Hi', proxy.flowise.agentflow.id, sessionId)),
    ];
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404]);
    expect(proxy.accounting.balanceOf(mallory.userId)).toBe(1000);
    expect((await alice.call('GET', `${path}/history`)).body).toMatchObject({ count: 2 });
  });

  it('answers one question at a time', async () => {
    const first = await (await stream(alice, ask('One'))).toEnd();
    const sessionId = String(first.events[0]?.data);
    proxy.flowise.next({ tokens: 3, tokenDelayMs: 250 });
    const second = await stream(alice, ask('Two', chain(), sessionId));
    await second.until('token');
    expect((await alice.call('POST', STORE, ask('Three', chain(), sessionId))).body.code).toBe('session_busy');
    await second.toEnd();
    const fourth = await (await stream(alice, ask('Four', chain(), sessionId))).toEnd();
    expect([names(second).at(-1), names(fourth).at(-1)]).toEqual(['end', 'end']);
  });

  it('is continued by the name the client gave it, and remembered by the flow', async () => {
    const sessionId = '9f3b6c50-1111-4222-8333-444455556666';
    await (await stream(alice, ask('I like tolls', chain(), sessionId))).toEnd();
    const body = { question: 'What did I say?', chatflow_id: chain(), session_id: sessionId };
    const second = await (await startChat(proxy.url + STORE, alice.token, body as never)).toEnd();
    expect(second.text).toContain('I like tolls');
    const [one, two] = proxy.flowise.requests;
    expect(one?.sessionId).toBe(two?.sessionId);
    expect([one?.chatId, one?.sessionId]).not.toContain(sessionId);
    const { body: listed } = await alice.call('GET', '/api/v1/chat/sessions');
    expect(listed).toMatchObject({ count: 1, sessions: [{ session_id: sessionId, topic: 'I like tolls' }] });
  });

  it('is deleted here and at the flow', async () => {
    const call = await (await stream(alice, ask('Forget me'))).toEnd();
    const sessionId = String(call.events[0]?.data);
    const chatId = String(proxy.flowise.requests[0]?.chatId);
    expect(proxy.flowise.messages(chain(), chatId)).toHaveLength(2);
    const { body } = await alice.call('DELETE', `/api/v1/chat/sessions/${sessionId}`);
    expect(body).toMatchObject({ session_id: sessionId, messages_deleted: 2, user_id: alice.userId });
    expect((await alice.call('GET', `/api/v1/chat/sessions/${sessionId}/history`)).status).toBe(404);
    // At once, and again when whatever still ran there has come to its end.
    expect(await proxy.db.collection('upstream_forgets').countDocuments({ chat_id: chatId })).toBe(2);
  });

  it('is listed page by page, and all of them are deleted at once', async () => {
    for (const question of ['One', 'Two', 'Three']) await (await stream(alice, ask(question))).toEnd();
    const first = await alice.call<{ sessions: { topic: string }[]; next_cursor: string }>(
      'GET',
      '/api/v1/chat/sessions?limit=2',
    );
    const rest = await alice.call<{ sessions: { topic: string }[] }>(
      'GET',
      `/api/v1/chat/sessions?limit=2&cursor=${first.body.next_cursor}`,
    );
    expect([...first.body.sessions, ...rest.body.sessions].map(({ topic }) => topic)).toEqual(['Three', 'Two', 'One']);
    expect((await alice.call('GET', '/api/v1/chat/sessions?cursor=nonsense')).status).toBe(400);
    const { body } = await alice.call('DELETE', '/api/v1/chat/history');
    expect(body).toMatchObject({ sessions_deleted: 3, messages_deleted: 6 });
  });

  it('keeps every text as it was', async () => {
    const question = '{"$gt":""} \u202e __proto__ <script> 😀';
    const call = await (await stream(alice, ask(question, 'model:priced'))).toEnd();
    const { body } = await alice.call<{ history: { content: string }[] }>(
      'GET',
      `/api/v1/chat/sessions/${String(call.events[0]?.data)}/history`,
    );
    expect(body.history.map(({ content }) => content)).toEqual([question, call.text]);
  });
});

describe('every operation', () => {
  const operations = Object.values(chat).filter(
    (value): value is OperationSpec & typeof chat.predict => 'path' in Object(value),
  );

  it.each(operations.map((operation) => [operation.id, operation] as const))(
    '%s refuses callers it is not for',
    async (_, operation) => {
      const access = {
        enduser: await tokens.access(),
        supervisor: await tokens.access({ role: 'supervisor' }),
        admin: proxy.admin.token,
      };
      for (const { caller, status, code, headers } of await badCallsOf(operation, 'chat-proxy', tokens, access)) {
        const path = examplePath(operation).replaceAll('00000000-0000-4000-8000-000000000000', chain());
        const response = await request(proxy.url + path, { method: operation.method, headers });
        const body = (await response.body.json()) as { code?: string; error?: { code?: string } };
        const told = body.code ?? body.error?.code;
        expect([caller, response.statusCode, told]).toEqual([caller, status, code]);
      }
    },
  );
});
