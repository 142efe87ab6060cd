import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { directive } from '@tollgate/test-kit';
import { resetFakes } from '../fixtures/asking.ts';
import { makeKey } from '../fixtures/key-book.ts';
import { type Person, type Proxy, startProxy, until } from '../fixtures/proxy.ts';
import { bearer, send as sendTo, type Sent } from './sending.ts';

let proxy: Proxy;
let alice: Person;
let bob: Person;
let chain: string;
let agent: string;
beforeAll(async () => {
  proxy = await startProxy();
  [alice, bob] = await Promise.all([proxy.person({ balance: 100_000 }), proxy.person({ balance: 100_000 })]);
  chain = proxy.flowise.chain.id;
  agent = proxy.flowise.agentflow.id;
  await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${agent}`, { is_public: false });
});
afterAll(() => proxy.stop());
beforeEach(() => resetFakes(proxy));
// Holds of refused answers are closed when nobody waits for it any more.
afterEach(() => until(() => proxy.accounting.openHolds() === 0));

const predict = <T = Record<string, unknown>>(person: Person, body: object, flow = chain) =>
  person.call<T>('POST', `/api/v1/prediction/${flow}`, body);

const send = (path: string, sent?: Sent) => sendTo(proxy.url + path, sent);

describe('one chat id in the hands of two users', () => {
  it('is two conversations, with texts, histories and memories of their own, also when both ask at the same moment', async () => {
    const chatId = `shared ${randomUUID()}`;
    const asked = await Promise.all(
      [alice, bob].map((person, at) => predict(person, { question: directive({ tokens: [`for ${at}`] }), chatId })),
    );
    expect(asked.map(({ body }) => body['text'])).toEqual(['for 0', 'for 1']);
    const calls = await Promise.all([proxy.flowise.untilCall(0), proxy.flowise.untilCall(1)]);
    expect(new Set(calls.map((call) => call.sessionId)).size).toBe(2);
    for (const [at, person] of [alice, bob].entries()) {
      const { body } = await person.call<{ content: string }[]>(
        'GET',
        `/api/v1/chatmessage/${chain}?chatId=${encodeURIComponent(chatId)}`,
      );
      expect(body.map(({ content }) => content).slice(1)).toEqual([`for ${at}`]);
    }
  });

  it('opens one conversation when its user asks 50 times at once, and tells the others that it is busy', async () => {
    const chatId = randomUUID();
    const slow = { question: directive({ tokens: 3, tokenDelayMs: 300 }), chatId };
    const all = await Promise.all(Array.from({ length: 50 }, () => predict(alice, slow)));
    const answered = all.filter(({ status }) => status === 200);
    expect(answered.length).toBeGreaterThanOrEqual(1);
    expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200, 409]));
    expect(await proxy.db.collection('keys').countDocuments()).toBe(1);
    const { body } = await alice.call<unknown[]>('GET', `/api/v1/chatmessage/${chain}?chatId=${chatId}`);
    expect(body).toHaveLength(answered.length * 2);
  });

  it('cannot be reached by the id of the conversation that it stands for, which names another one', async () => {
    const { body } = await predict(alice, { question: 'Hello', chatId: 'mine' });
    const row = await proxy.db.collection('messages').findOne({ request_id: body['chatMessageId'] });
    const sessionId = String(row?.['session_id']);
    expect(sessionId).toMatch(/^[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    const mallory = await bob.call('POST', '/api/v1/chat/predict', { question: 'x', chatflow_id: chain, sessionId });
    expect(mallory.status).toBe(404);
    const { body: rows } = await alice.call<unknown[]>('GET', `/api/v1/chatmessage/${chain}?chatId=${sessionId}`);
    expect(rows).toEqual([]);
  });
});

describe('a prediction', () => {
  it('takes what the SDK for Python sends, and answers in one line per event with no second "data:" in it', async () => {
    const tokens = ['see data:image/png', ' or \u001data: and \\data:'];
    const body = {
      question: directive({ tokens }),
      overrideConfig: null,
      chatId: null,
      history: [],
      uploads: [],
      streaming: true,
    };
    const { text } = await send(`/api/v1/prediction/${chain}`, { method: 'POST', headers: bearer(alice), body });
    const lines = text.split('\n').filter((line) => line.startsWith('data:'));
    // As that client reads them.
    const events = lines.map((line) => JSON.parse(line.replaceAll('data:', '')) as { event: string; data: string });
    expect(events.filter(({ event }) => event === 'token').map(({ data }) => data)).toEqual(tokens);
    for (const frame of text.split('\n\n').filter((each) => each !== ''))
      expect(frame).toMatch(/^(:heartbeat|message:\ndata:\{.*\})$/);
  });

  it('tells a chat window why it is refused within a stream, and in plain words where the window shows them', async () => {
    const poor = await proxy.person({ balance: 0 });
    const body = { question: 'Hello', streaming: true };
    const headers = { ...bearer(poor), accept: 'text/event-stream' };
    const refused = await send(`/api/v1/prediction/${chain}`, { method: 'POST', headers, body });
    expect(refused).toMatchObject({ status: 200, headers: { 'content-type': 'text/event-stream' } });
    expect(refused.text).toBe(
      'message:\ndata:{"event":"error","data":"Insufficient credits","code":"insufficient_credits"}\n\n',
    );
    const unknown = await send('/api/v1/prediction/nowhere', { method: 'POST', headers, body });
    expect(unknown).toMatchObject({ status: 403, text: 'Access denied to this chatflow' });
    expect(unknown.headers['content-type']).toContain('text/plain');
    expect(proxy.flowise.calls()).toBe(0);
  });

  it('charges nothing for a request that asks nothing, and takes one that is an action or a file alone', async () => {
    for (const body of [{}, { question: '' }, { streaming: true, form: {}, uploads: [] }])
      expect(await predict(alice, body)).toMatchObject({
        status: 400,
        body: { errors: [{ path: 'question', message: 'must not be empty' }] },
      });
    expect(proxy.accounting.settlements).toEqual([]);
    const file = {
      data: Buffer.from('Plums').toString('base64'),
      type: 'file:full',
      name: 'a.txt',
      mime: 'text/plain',
    };
    expect((await predict(alice, { question: '', uploads: [file] }, chain)).status).toBe(200);
    expect((await predict(alice, { action: { id: 'a', mapping: { approve: 'yes' } } })).status).toBe(200);
  });

  it('passes the form, the decision and the address of a lead on to an agent flow, and refuses what only Flowise may do', async () => {
    await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${agent}`, { is_public: true });
    const humanInput = { type: 'proceed', startNodeId: 'humanInputAgentflow_0', feedback: 'go' };
    await predict(alice, { form: { city: 'Rome', days: 3 }, leadEmail: 'a@example.test' }, agent);
    await predict(alice, { question: 'Proceed', humanInput }, agent);
    const [first, second] = await Promise.all([proxy.flowise.untilCall(0), proxy.flowise.untilCall(1)]);
    expect(first.body).toMatchObject({ form: { city: 'Rome', days: 3 }, leadEmail: 'a@example.test' });
    expect(first.body).not.toHaveProperty('question');
    expect(second.body).toMatchObject({ humanInput, question: 'Proceed' });
    for (const refused of [
      { question: 'x', webhook: { url: 'http://169.254.169.254' } },
      { question: 'x', stopNodeId: 'llm_0' },
      { question: 'x', overrideConfig: { systemMessage: 'obey' } },
      { question: 'x', uploads: [{ type: 'url', name: 'x', mime: 'text/html', data: 'http://localhost' }] },
      { question: 'x', chatId: 'y'.repeat(201) },
      { question: 'x', chatId: { $ne: null } },
      { question: { $ne: null } },
    ])
      expect(await predict(alice, refused, agent)).toMatchObject({
        status: 400,
        body: { success: false, statusCode: 400 },
      });
    expect((await predict(alice, { question: 'x', form: { a: 1 } }, 'model:priced')).status).toBe(400);
    expect(proxy.flowise.calls()).toBe(2);
    await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${agent}`, { is_public: false });
  });

  it('is given once for an Idempotency-Key, although neither request names a conversation', async () => {
    const headers = { ...bearer(alice), 'idempotency-key': randomUUID() };
    const repeat = () => send(`/api/v1/prediction/${chain}`, { method: 'POST', headers, body: { question: 'Once' } });
    const answers = [await repeat(), await repeat()].map(({ text }) => JSON.parse(text) as Record<string, unknown>);
    expect(answers[0]?.['chatId']).toBe(answers[1]?.['chatId']);
  });
});

describe('the probes of a chat window', () => {
  const paths = ['chatflows-streaming', 'public-chatbotConfig'] as const;

  it.each(paths)(
    '%s answers anybody for a public chatflow, and says nothing of others but to those who may use them',
    async (path) => {
      expect((await send(`/api/v1/${path}/${chain}`)).status).toBe(200);
      const closed = await send(`/api/v1/${path}/${agent}`);
      const unknown = await send(`/api/v1/${path}/${randomUUID()}`);
      const without = ({ text }: typeof closed) => ({ ...(JSON.parse(text) as object), requestId: '' });
      expect(closed.status).toBe(401);
      expect(without(closed)).toEqual(without(unknown));
      expect((await send(`/api/v1/${path}/${agent}`, { headers: bearer(alice) })).status).toBe(404);
      expect((await send(`/api/v1/${path}/${chain}`, { headers: bearer(alice) })).status).toBe(200);
      const bad = await send(`/api/v1/${path}/${chain}`, { headers: { authorization: 'Bearer nonsense' } });
      expect(bad.status).toBe(401);
    },
  );

  it('show how a window should look, and nothing of the flow itself', async () => {
    const { text } = await send(`/api/v1/public-chatbotConfig/${chain}`);
    expect(JSON.parse(text)).toMatchObject({
      welcomeMessage: 'Hello, what can I do for you?',
      starterPrompts: { 0: { prompt: 'What is a hold on credits?' } },
      fullFileUpload: { status: true, allowedUploadFileTypes: 'text/plain,application/json' },
      uploads: { isRAGFileUploadAllowed: false },
    });
    expect(text).not.toMatch(/flowData|allowedOrigins|zanzibar|5ec2e7/i);
  });

  it('are found under their exact names only, and the key check says no more than yes or no', async () => {
    for (const path of [
      `/api/v1/Prediction/${chain}`,
      `/api/v1/chatflows-Streaming/${chain}`,
      `/api/v1/prediction/${chain}/`,
    ])
      expect((await send(path, { method: path.includes('rediction') ? 'POST' : 'GET' })).status).toBe(404);
    const { text: key } = makeKey(alice.userId, ['chat:use']);
    expect(await send(`/api/v1/verify/apikey/${key}`)).toMatchObject({ status: 200, text: '"OK"' });
    for (const other of [`${key.slice(0, -1)}!`, makeKey(alice.userId, []).text.slice(0, -1), alice.token, 'x'])
      expect((await send(`/api/v1/verify/apikey/${other}`)).status).not.toBe(200);
  });

  it('list the chatflows for clients of ours and of Flowise at once, without what Flowise keeps in them', async () => {
    const { body } = await alice.call<Record<string, unknown>[]>('GET', '/api/v1/chatflows');
    const row = body.find(({ id }) => id === chain);
    expect(row).toMatchObject({
      name: 'Conversation chain',
      is_public: true,
      isPublic: true,
      type: 'CHATFLOW',
      deployed: true,
    });
    const one = await alice.call('GET', `/api/v1/chatflows/${chain}`);
    expect(one.body).toMatchObject({ ...row, created: row?.['createdDate'] });
    expect(JSON.stringify([body, one.body])).not.toMatch(/flowData|zanzibar|apikeyid/);
  });
});
