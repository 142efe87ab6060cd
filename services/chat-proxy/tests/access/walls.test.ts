import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { UserId } from '@tollgate/contracts';
import { directive, type Scenario } from '@tollgate/test-kit';
import { request } from 'undici';
import { idOf, upload } from '../files/requests.ts';
import { askOf, STORE } from '../fixtures/asking.ts';
import { type Person, type Proxy, startProxy, until } from '../fixtures/proxy.ts';
import { SocketClient } from '../fixtures/socket-client.ts';

const MODEL = 'model:priced';
const ADMIN = '/api/v1/admin';

const log: string[] = [];
let proxy: Proxy;
let chain: string;
let alice: Person;
beforeAll(async () => {
  proxy = await startProxy({ log, env: { DELETED_ACCOUNT_ERASURE: '0s', FILE_CLEAR_INTERVAL: '50ms' } });
  chain = proxy.flowise.chain.id;
});
afterAll(() => proxy.stop());
beforeEach(async () => {
  alice = await proxy.person({ balance: 1_000_000 });
});

interface Sent {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request of somebody, or of nobody, whose answer may be anything. */
async function send(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, who?: Person, sent: Sent = {}) {
  const response = await request(proxy.url + path, {
    method,
    headers: {
      ...(who && { authorization: `Bearer ${who.token}` }),
      ...(sent.body !== undefined && { 'content-type': 'application/json' }),
      ...sent.headers,
    },
    ...(sent.body !== undefined && { body: JSON.stringify(sent.body) }),
  });
  return { status: response.statusCode, text: await response.body.text() };
}
const secretWord = () => `canary${randomUUID().replaceAll('-', '')}`;

interface Answered {
  readonly chatMessageId: string;
}
/** A conversation by the name `mine`, as a client of Flowise has it. */
const askAsWindow = async (person: Person, question: string): Promise<Answered> =>
  (await person.call<Answered & object>('POST', `/api/v1/prediction/${chain}`, { question, chatId: 'mine' })).body;
const rate = async (person: Person, { chatMessageId: messageId }: Answered, content: string) =>
  (await person.call('POST', `/api/v1/feedback/${chain}`, { chatId: 'mine', messageId, rating: 'THUMBS_UP', content }))
    .body;

/** Every way to ask; the answer is not looked at. */
const doors: [string, (who: Person, question: string, headers?: Record<string, string>) => Promise<unknown>][] = [
  [
    'predict',
    (who, question, headers) =>
      send('POST', '/api/v1/chat/predict', who, { body: askOf(question, MODEL), ...(headers && { headers }) }),
  ],
  [
    'stream/store',
    (who, question, headers) => send('POST', STORE, who, { body: askOf(question, MODEL), ...(headers && { headers }) }),
  ],
  [
    'a flow',
    (who, question, headers) => send('POST', STORE, who, { body: askOf(question, chain), ...(headers && { headers }) }),
  ],
  [
    'Flowise’s door',
    (who, question, headers) =>
      send('POST', `/api/v1/prediction/${chain}`, who, {
        body: { question, streaming: true },
        ...(headers && { headers }),
      }),
  ],
  [
    'OpenAI’s door',
    (who, question, headers) =>
      send('POST', '/v1/chat/completions', who, {
        body: { model: 'priced', messages: [{ role: 'user', content: question }] },
        ...(headers && { headers }),
      }),
  ],
  [
    'a WebSocket',
    async (who, question, headers) => {
      const client = await SocketClient.open(proxy.url, { token: who.token });
      const key = headers?.['idempotency-key'];
      client.send({ type: 'ask', id: 'a', ...askOf(question, MODEL), ...(key && { idempotency_key: key }) });
      await client.until(() => client.said.some(({ type }) => type === 'done' || type === 'error'));
      client.socket.terminate();
    },
  ],
];

describe('the log', () => {
  const faults: [string, Scenario | ((word: string) => Scenario)][] = [
    ['all is well', {}],
    ['the server quotes the question in a 500', (word) => ({ error: { status: 500, message: `cannot read ${word}` } })],
    ['… in a 422', (word) => ({ error: { status: 422, body: { detail: [{ input: word }] } } })],
    ['… in a 429', (word) => ({ error: { status: 429, message: word } })],
    ['… in place of the first event', (word) => ({ errorEvent: { after: 0, message: word } })],
    ['… in the stream', (word) => ({ errorEvent: { after: 2, message: word } })],
    [
      '… in what is no JSON',
      (word) => ({ intrusion: { after: 1, kind: 'raw', content: { text: `data: {"a":${word}\n\n` } } }),
    ],
    [
      '… in what is no HTTP',
      (word) => ({ raw: { text: `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${word}\r\n` } }),
    ],
  ];
  it.each(faults)('holds nothing of what was asked or answered, nor a token: %s', async (_what, fault) => {
    const word = secretWord();
    const question = `${word} ${directive(typeof fault === 'function' ? fault(word) : fault)}`;
    const before = log.length;
    for (const [, ask] of doors) await ask(alice, question);
    await until(() => log.length > before);
    expect(log.filter((line) => line.includes(word) || line.includes(alice.token))).toEqual([]);
  });

  it('says by status and code why a server has failed', async () => {
    const body = { error: { message: secretWord(), type: 'server_error', code: 'model_overloaded' } };
    await send('POST', '/api/v1/chat/predict', alice, {
      body: askOf(directive({ error: { status: 503, body } }), MODEL),
    });
    const why = 'the upstream answered 503 (server_error, model_overloaded)';
    await until(() => log.some((line) => line.includes('request failed') && line.includes(body.error.code)));
    expect(log.findLast((line) => line.includes('request failed'))).toContain(why);
  });

  it('holds no key, name or address that a request came with', async () => {
    const word = secretWord();
    await send('GET', `/api/v1/verify/apikey/tg_${word}`);
    await send('GET', `/api/v1/chat/sessions?q=${word}`, alice);
    await send('GET', `/api/v1/nothing/${word}?token=${word}`, alice);
    await send('POST', `/api/v1/chat/predict`, alice, { body: { question: { [word]: word } } });
    expect((await upload(proxy, alice, { bytes: Buffer.from(word), name: `${word}.txt` })).status).toBe(200);
    const socket = await SocketClient.open(proxy.url, { token: word });
    await socket.untilClosed();
    expect(log.filter((line) => line.includes(word))).toEqual([]);
    expect((await send('GET', '/metrics')).text).not.toContain(word);
  });
});

describe('where nothing may be kept', () => {
  it.each(doors)('nothing of a question is in the database, also not with a key: by %s', async (_door, ask) => {
    const workspaceId = `w-${randomUUID()}`;
    proxy.auth.workspaces.add(workspaceId);
    const settings = `${ADMIN}/workspaces/${workspaceId}/chat-settings`;
    await proxy.admin.call('PUT', settings, { store: 'nothing', retention_days: null });
    const bob = await proxy.person({ workspaceId, balance: 1_000_000 });
    const word = secretWord();
    await ask(bob, word);
    await ask(bob, word, { 'idempotency-key': randomUUID(), 'x-keep-running': '5' });
    await until(() => proxy.accounting.openHolds() === 0);
    for (const { name } of await proxy.db.listCollections().toArray())
      expect([name, JSON.stringify(await proxy.db.collection(name).find().toArray()).includes(word)]).toEqual([
        name,
        false,
      ]);
  });

  it('nobody learns a short question from what stands for its key: the same one looks different each time', async () => {
    const [one, other] = [randomUUID(), randomUUID()];
    for (const key of [one, other])
      await send('POST', '/api/v1/chat/predict', alice, {
        body: askOf('yes', MODEL),
        headers: { 'idempotency-key': key },
      });
    const rows = await proxy.db.collection('idempotency_keys').find().sort({ created_at: -1 }).limit(2).toArray();
    expect(new Set(rows.map(({ fingerprint }) => String(fingerprint))).size).toBe(2);
  });
});

describe('what belongs to a workspace', () => {
  it('is not rated anew from another one', async () => {
    const rated = await rate(alice, await askAsWindow(alice, 'hello'), 'good');
    const there = await proxy.person({ userId: alice.userId, workspaceId: 'w-2' });
    const change = { rating: 'THUMBS_DOWN', content: 'bad' };
    for (const other of [there, await proxy.person()])
      expect((await other.call('PUT', `/api/v1/feedback/${String(rated['id'])}`, change)).status).toBe(404);
    expect((await alice.call('PUT', `/api/v1/feedback/${String(rated['id'])}`, {})).body).toMatchObject({
      content: 'good',
    });
  });
});

describe('a file of a flow', () => {
  it.each(['../../other/secret.txt', '/etc/passwd', '..', 'a\\b', 'a\u0000b', 'a\nb'])(
    'is never asked for by a path: %j',
    async (fileName) => {
      await askAsWindow(alice, 'hello');
      const asked = proxy.flowise.otherRequests.length;
      const query = new URLSearchParams({ chatflowId: chain, chatId: 'mine', fileName });
      expect((await send('GET', `/api/v1/get-upload-file?${query}`, alice)).status).toBe(404);
      expect(proxy.flowise.otherRequests.slice(asked).filter(({ path }) => path.includes('get-upload'))).toEqual([]);
    },
  );
});

describe('limits', () => {
  it('hold for leads of one user as well, and leave room for others', async () => {
    const lead = (person: Person, chatId: string) =>
      person.call('POST', '/api/v1/leads', { chatflowid: chain, chatId, name: 'Ann' });
    const answers = await Promise.all(Array.from({ length: 50 }, (_, at) => lead(alice, `chat-${at}`)));
    const taken = answers.filter(({ status }) => status === 200).length;
    expect([taken, answers.filter(({ status }) => status === 429).length]).toEqual([30, 20]);
    expect((await lead(await proxy.person(), 'chat-0')).status).toBe(200);
  });

  it('let a user search twice at once, not more', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => alice.call('GET', '/api/v1/chat/sessions?q=toll')),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 429]));
    expect((await alice.call('GET', '/api/v1/chat/sessions?q=toll')).status).toBe(200);
  });

  it('of a chatflow hold for vectors as well', async () => {
    await proxy.admin.call('PATCH', `${ADMIN}/chatflows/${MODEL}`, { requests_per_minute: 3 });
    try {
      const embed = () => alice.call('POST', '/v1/embeddings', { model: 'priced', input: 'x' });
      const answers = await Promise.all(Array.from({ length: 12 }, embed));
      expect(answers.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(6); // two windows at most
      expect(answers.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(6);
      await until(() => proxy.accounting.openHolds() === 0);
    } finally {
      await proxy.admin.call('PATCH', `${ADMIN}/chatflows/${MODEL}`, { requests_per_minute: null });
    }
  });
});

describe('what is deleted', () => {
  const countOf = (word: string) => async () => {
    const found: string[] = [];
    for (const { name } of await proxy.db.listCollections().toArray())
      if (JSON.stringify(await proxy.db.collection(name).find().toArray()).includes(word)) found.push(name);
    return found;
  };

  it('with a conversation: its ratings, and its answers that could be read again', async () => {
    const word = secretWord();
    const asked = { question: word, chatId: 'mine' };
    const headers = { 'idempotency-key': randomUUID() };
    const { text } = await send('POST', `/api/v1/prediction/${chain}`, alice, { body: asked, headers });
    await rate(alice, JSON.parse(text) as Answered, word);
    const left = countOf(word);
    expect(await left()).toEqual(expect.arrayContaining(['messages', 'message_feedback', 'answer_parts']));
    expect((await alice.call('DELETE', `/api/v1/chatmessage/${chain}?chatId=mine`)).body).toMatchObject({
      affected: 2,
    });
    expect(await left()).toEqual([]);
  });

  it('with an account: everything that the user has said anywhere, and nothing of others', async () => {
    const [word, kept] = [secretWord(), secretWord()];
    const bob = await proxy.person();
    for (const [person, said] of [
      [alice, word],
      [bob, kept],
    ] as const) {
      await rate(person, await askAsWindow(person, said), said);
      await person.call('POST', '/api/v1/leads', { chatflowid: chain, chatId: 'mine', email: `${said}@example.test` });
      await send('POST', '/v1/chat/completions', person, {
        body: { model: 'priced', messages: [{ role: 'user', content: said }] },
        headers: { 'idempotency-key': randomUUID() },
      });
      expect(idOf(await upload(proxy, person, { bytes: Buffer.from(said), name: `${said}.txt` }))).toBeTruthy();
    }
    const others = await countOf(kept)();
    expect(others).toEqual(expect.arrayContaining(['messages', 'message_feedback', 'leads', 'answer_parts', 'files']));
    const userId = UserId.parse(alice.userId);
    const told = { id: `user:${userId}`, madeAt: Date.now(), reason: 'account-deleted' } as const;
    proxy.auth.revocations.push({ kind: 'user', userId, minVersion: Number.MAX_SAFE_INTEGER, ...told });
    await until(async () => (await countOf(word)()).length === 0);
    expect(await countOf(kept)()).toEqual(others);
  });
});
