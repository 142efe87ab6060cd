import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { directive } from '@tollgate/test-kit';
import { FormData, request } from 'undici';
import { resetFakes } from '../fixtures/asking.ts';
import { makeKey } from '../fixtures/key-book.ts';
import { type Person, type Proxy, startProxy, until } from '../fixtures/proxy.ts';

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
}, 60_000);
afterAll(() => proxy.stop());
beforeEach(() => resetFakes(proxy));

const predict = <T = Record<string, unknown>>(person: Person, body: object, flow = chain) =>
  person.call<T>('POST', `/api/v1/prediction/${flow}`, body);

interface Sent {
  readonly method?: 'GET' | 'POST' | 'OPTIONS' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
}

/** A request whose answer may be anything. */
async function send(path: string, { method = 'GET', headers = {}, body }: Sent = {}) {
  const isForm = body instanceof FormData;
  const response = await request(proxy.url + path, {
    method,
    headers: { ...headers, ...(body && !isForm && { 'content-type': 'application/json' }) },
    ...(body && { body: isForm ? body : JSON.stringify(body) }),
  });
  return { status: response.statusCode, headers: response.headers, text: await response.body.text() };
}
const bearer = ({ token }: Person) => ({ authorization: `Bearer ${token}` });

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

describe('pages of other origins', () => {
  const origin = 'https://shop.example.test';
  const preflight = (path: string, from = origin) =>
    send(path, {
      method: 'OPTIONS',
      headers: {
        origin: from,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
      },
    });

  it('may call the routes of the chatflow that lists them, without cookies, and no others', async () => {
    await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${chain}`, { allowed_origins: [origin] });
    const allowed = async (path: string, from?: string) => {
      const { headers } = await preflight(path, from);
      return headers['access-control-allow-origin'];
    };
    for (const path of [`prediction/${chain}`, `chatmessage/abort/${chain}/x`, 'leads/', `feedback/${randomUUID()}`]) {
      expect([path, await allowed(`/api/v1/${path}`)]).toEqual([path, origin]);
      expect((await preflight(`/api/v1/${path}`)).headers).not.toHaveProperty(
        'access-control-allow-credentials',
        'true',
      );
    }
    for (const path of [
      `/api/v1/prediction/${agent}`,
      '/api/v1/chat/predict',
      '/api/v1/chatflows',
      `/api/v1/chatflows/${chain}`,
    ])
      expect([path, await allowed(path)]).toEqual([path, undefined]);
    for (const from of ['https://evil.example.test', 'null', `${origin}.evil.test`])
      expect(await allowed(`/api/v1/prediction/${chain}`, from)).toBeUndefined();
  });

  it('that the chatflow does not list are refused by name, whatever browsers make of it', async () => {
    const headers = { ...bearer(alice), origin: 'https://evil.example.test' };
    const answer = await send(`/api/v1/prediction/${chain}`, { method: 'POST', headers, body: { question: 'x' } });
    expect(answer).toMatchObject({ status: 403, text: expect.stringContaining('origin_not_allowed') });
    expect((await send(`/api/v1/public-chatbotConfig/${chain}`, { headers })).status).toBe(403);
    expect(proxy.flowise.calls()).toBe(0);
    await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${chain}`, { allowed_origins: [] });
  });
});

describe('ratings, leads and deletion', () => {
  it('a rating is kept once for each own answer, passed on to Flowise under its names, and unknown to others', async () => {
    const { body } = await predict(alice, { question: 'Rate me', chatId: 'rated' });
    const rating = { chatflowid: chain, chatId: 'rated', messageId: body['chatMessageId'], rating: 'THUMBS_UP' };
    const all = await Promise.all(
      Array.from({ length: 50 }, () => alice.call('POST', `/api/v1/feedback/${chain}`, rating)),
    );
    expect(new Set(all.map((answer) => answer.body['id'])).size).toBe(1);
    const id = String(all[0]?.body['id']);
    expect(await proxy.db.collection('message_feedback').countDocuments()).toBe(1);
    await until(() => proxy.flowise.feedback.length > 0);
    expect(JSON.stringify(proxy.flowise.feedback)).not.toContain('rated');
    const changed = await alice.call('PUT', `/api/v1/feedback/${id}`, { content: 'because' });
    expect(changed.body).toMatchObject({ id, rating: 'THUMBS_UP', content: 'because', chatId: 'rated' });
    expect((await bob.call('PUT', `/api/v1/feedback/${id}`, { content: 'no' })).status).toBe(404);
    expect((await bob.call('POST', `/api/v1/feedback/${chain}`, rating)).status).toBe(404);
  });

  it('a lead needs no credentials at a public chatflow, is kept once for each chat, and tells nobody what was kept', async () => {
    const lead = { chatflowid: chain, chatId: randomUUID(), name: 'Ada', email: 'ada@example.test' };
    const [first, again] = [
      await send('/api/v1/leads/', { method: 'POST', body: lead }),
      await send('/api/v1/leads', { method: 'POST', body: { ...lead, name: 'Mallory', email: null } }),
    ].map(({ text }) => JSON.parse(text) as Record<string, unknown>);
    expect(first).toMatchObject({ name: 'Ada', chatId: lead.chatId });
    expect(again).toMatchObject({ id: first?.['id'], name: 'Mallory', email: null });
    expect(await proxy.db.collection('leads').find({ chat_id: lead.chatId }).toArray()).toMatchObject([
      { name: 'Ada' },
    ]);
    await until(() => proxy.flowise.leads.length === 1);
    const closed = { ...lead, chatflowid: agent };
    expect((await send('/api/v1/leads', { method: 'POST', body: closed })).status).toBe(401);
  });

  it('no more leads than 200 within an hour are taken of a chatflow from people who are not signed in, however they race', async () => {
    await proxy.db.collection('lead_counts').updateMany({}, { $set: { count: 190 } });
    const leave = () =>
      send('/api/v1/leads', { method: 'POST', body: { chatflowid: chain, chatId: randomUUID(), name: 'x' } });
    const all = await Promise.all(Array.from({ length: 50 }, leave));
    expect(all.filter(({ status }) => status === 200)).toHaveLength(10);
    expect(all.filter(({ status }) => status === 429)).toHaveLength(40);
  });

  it('deletes an own conversation and says how much that was; an unknown one is empty', async () => {
    await predict(alice, { question: 'Forget this', chatId: 'gone' });
    const path = `/api/v1/chatmessage/${chain}?chatId=gone`;
    expect((await bob.call('DELETE', path)).body).toEqual({ raw: [], affected: 0 });
    expect((await alice.call('DELETE', path)).body).toEqual({ raw: [], affected: 2 });
    expect((await alice.call('GET', path)).body).toEqual([]);
    expect((await alice.call('GET', `/api/v1/chatmessage/${chain}`)).status).toBe(400);
  });
});

describe('what a chat window sends and hears beside answers', () => {
  const formOf = (name: string, mime: string, content: string) => {
    const form = new FormData();
    form.append('files', new Blob([content], { type: mime }), name);
    form.append('chatId', 'with files');
    return form;
  };

  it('files become the text that Flowise reads out of them, which goes with the question and can be read again by name', async () => {
    const path = `/api/v1/attachments/${chain}/with%20files`;
    const form = formOf('plum.txt', 'text/plain', 'Plums are blue, and so is this');
    const { status, text } = await send(path, { method: 'POST', headers: bearer(alice), body: form });
    expect(status).toBe(200);
    const [attached] = JSON.parse(text) as { content: string }[];
    expect(attached).toMatchObject({
      name: 'plum.txt',
      mimeType: 'text/plain',
      content: 'Plums are blue, and so is this',
    });
    const upload = { type: 'file:full', name: 'plum.txt', mime: 'text/plain', data: attached?.content };
    expect((await predict(alice, { question: 'What colour?', chatId: 'with files', uploads: [upload] })).status).toBe(
      200,
    );
    expect((await proxy.flowise.untilCall(0)).body).toMatchObject({
      uploads: [{ type: 'file:full', data: attached?.content }],
    });

    const query = `?chatflowId=${chain}&chatId=with%20files&fileName=plum.txt`;
    const file = await send(`/api/v1/get-upload-file${query}`, { headers: bearer(alice) });
    expect(file).toMatchObject({ status: 200, text: 'Plums are blue, and so is this' });
    expect(file.headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'private, no-store' });
    expect((await send(`/api/v1/get-upload-file${query}`, { headers: bearer(bob) })).status).toBe(404);
    expect((await send(`/api/v1/get-upload-file${query}`)).status).toBe(401);
    const lying = formOf('plum.pdf', 'application/pdf', 'no pdf at all');
    expect((await send(path, { method: 'POST', headers: bearer(alice), body: lying })).status).toBe(400);
  });

  it('an own answer is read aloud for the price of such an answer, and nothing is charged when no sound comes', async () => {
    const { body } = await predict(alice, { question: 'Speak', chatId: 'aloud' });
    await until(() => proxy.accounting.openHolds() === 0);
    proxy.accounting.settlements.length = 0;
    const spoken = { chatflowId: chain, chatId: 'aloud', chatMessageId: body['chatMessageId'] };
    const speak = (person: Person, text: string) =>
      send('/api/v1/text-to-speech/generate', { method: 'POST', headers: bearer(person), body: { ...spoken, text } });
    const speech = await speak(alice, 'Hello there');
    expect(speech.text.split('\n').filter((line) => line.startsWith('event:'))).toEqual([
      'event: tts_start',
      'event: tts_data',
      'event: tts_data',
      'event: tts_end',
    ]);
    await until(() => proxy.accounting.settlements.length === 1);
    const failed = await speak(alice, 'FAIL at once');
    expect(failed.text).toContain('event: tts_error');
    expect(failed.text).not.toContain('credential');
    await until(() => proxy.accounting.settlements.length === 2);
    expect(proxy.accounting.settlements).toMatchObject([{ kind: 'settle', outcome: 'completed' }, { kind: 'void' }]);
    expect((await speak(bob, 'Hello')).status).toBe(404);
    expect((await speak(await proxy.person({ balance: 0 }), 'Hello')).status).toBe(404);
    expect(proxy.accounting.openHolds()).toBe(0);
  });

  it('documents are fed by administrators and their keys only', async () => {
    const path = `/api/v1/vector/upsert/${chain}`;
    const feed = (headers: Record<string, string>) =>
      send(path, { method: 'POST', headers, body: formOf('plum.txt', 'text/plain', 'Plums are blue') });
    const ownKey = makeKey(proxy.admin.userId, ['vectors:write'], 'admin').text;
    for (const headers of [bearer(proxy.admin), { 'x-api-key': ownKey }]) {
      const fed = await feed(headers);
      expect(fed).toMatchObject({ status: 200 });
      expect(JSON.parse(fed.text)).toEqual({ numAdded: 1, numDeleted: 0, numUpdated: 0, numSkipped: 0 });
    }
    for (const headers of [bearer(alice), { 'x-api-key': makeKey(alice.userId, ['chat:use']).text }])
      expect((await feed(headers)).status).toBe(403);
  });
});
