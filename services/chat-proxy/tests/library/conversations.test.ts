import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { UserId } from '@tollgate/contracts';
import { startChat } from '@tollgate/test-kit';
import { request } from 'undici';
import { askOf, STORE, STREAM } from '../fixtures/asking.ts';
import { type Person, type Proxy, startProxy, until } from '../fixtures/proxy.ts';

let proxy: Proxy;
let alice: Person;
beforeAll(async () => {
  proxy = await startProxy({ env: { DELETED_ACCOUNT_ERASURE: '0s' } });
});
afterAll(() => proxy.stop());
beforeEach(async () => {
  proxy.flowise.reset();
  alice = await proxy.person({ balance: 100_000 });
});

const SESSIONS = '/api/v1/chat/sessions';
const ADMIN = '/api/v1/admin';
const MODEL = 'model:priced';
interface Line {
  readonly session_id: string;
  readonly topic: string;
}
interface Listed {
  readonly sessions: Line[];
  readonly next_cursor: string | null;
}
interface Stored {
  readonly role: string;
  readonly content: string;
  readonly status: string;
  readonly request_id: string;
}

async function converse(person: Person, question: string, chatflowId = MODEL, sessionId?: string): Promise<string> {
  const call = await (await startChat(proxy.url + STORE, person.token, askOf(question, chatflowId, sessionId))).toEnd();
  return String(call.events[0]?.data);
}

async function download(person: Person, path: string) {
  const response = await request(proxy.url + path, { headers: { authorization: `Bearer ${person.token}` } });
  const { 'content-type': type, 'content-disposition': name } = response.headers;
  return { status: response.statusCode, type: String(type), name: String(name), text: await response.body.text() };
}

const historyOf = async (person: Person, sessionId: string) =>
  (await person.call<{ history: Stored[] }>('GET', `${SESSIONS}/${sessionId}/history`)).body.history;

describe('a conversation', () => {
  it('is found under the title its owner gives it, also after the next question', async () => {
    const id = await converse(alice, 'What is a toll?');
    const renamed = await alice.call('PATCH', `${SESSIONS}/${id}`, { title: '  Bridges & roads ' });
    expect(renamed.body).toMatchObject({ session_id: id, topic: 'Bridges & roads', first_message: 'What is a toll?' });
    await converse(alice, 'And a bridge?', MODEL, id);
    expect((await alice.call<Listed>('GET', SESSIONS)).body.sessions).toMatchObject([{ topic: 'Bridges & roads' }]);
  });

  it.each([{ title: '' }, { title: 'x'.repeat(201) }, { title: 'a\u0000b' }, { title: { $set: 1 } }, { name: 'x' }])(
    'keeps its title when asked for %j',
    async (body) => {
      const id = await converse(alice, 'Stays');
      expect((await alice.call('PATCH', `${SESSIONS}/${id}`, body)).status).toBe(400);
      expect((await alice.call<Listed>('GET', SESSIONS)).body.sessions).toMatchObject([{ topic: 'Stays' }]);
    },
  );

  it('is found by what was said in it or by its title, letter by letter, and within one chatflow when wanted', async () => {
    const plum = await converse(alice, 'I like PLUM (cake) [50%]');
    const pear = await converse(alice, 'I like pears', proxy.flowise.chain.id);
    // As the list of conversations calls it.
    await alice.call('PATCH', `${SESSIONS}/${pear}`, { topic: 'Orchard' });
    const search = async (query: string) =>
      (await alice.call<Listed>('GET', `${SESSIONS}?${query}`)).body.sessions.map(({ session_id }) => session_id);
    expect(await search('q=plum+(cake)')).toEqual([plum]);
    expect(await search('q=orcharD')).toEqual([pear]);
    expect(await search('q=%5B50%25%5D')).toEqual([plum]);
    expect(await search('q=i+like')).toEqual([pear, plum]);
    expect(await search(`q=i+like&chatflow_id=${MODEL}`)).toEqual([plum]);
    expect(await search(`chatflow_id=${MODEL}`)).toEqual([plum]);
    for (const pattern of ['.*', 'p.um', '^I', 'like|x', '(', '\\w'])
      expect(await search(`q=${encodeURIComponent(pattern)}`)).toEqual(pattern === '(' ? [plum] : []);
    for (const bad of ['q=', 'q[$ne]=1', 'q=%00', `q=${'x'.repeat(201)}`, 'chatflow_id=%00'])
      expect((await alice.call('GET', `${SESSIONS}?${bad}`)).status).toBe(400);
    const bob = await proxy.person();
    expect((await bob.call<Listed>('GET', `${SESSIONS}?q=plum`)).body.sessions).toEqual([]);
  });

  it('is on exactly one page of a search', async () => {
    for (let n = 0; n < 5; n += 1) await converse(alice, `${n % 2 === 0 ? 'even' : 'odd'} number ${n}`);
    const topics: string[] = [];
    let cursor: string | null = '';
    for (let page = 0; cursor !== null && page < 10; page += 1) {
      const { body }: { body: Listed } = await alice.call<Listed>(
        'GET',
        `${SESSIONS}?q=EVEN&limit=2${cursor ? `&cursor=${cursor}` : ''}`,
      );
      topics.push(...body.sessions.map(({ topic }) => topic));
      cursor = body.next_cursor;
    }
    expect(topics).toEqual(['even number 4', 'even number 2', 'even number 0']);
  });

  it('leaves as a file from its beginning, however long it is', async () => {
    const id = await converse(alice, 'First "question"\nof two');
    for (let n = 0; n < 11; n += 1) await converse(alice, `Question ${n}`, MODEL, id);
    const json = await download(alice, `${SESSIONS}/${id}/export`);
    expect(json).toMatchObject({ status: 200, name: `attachment; filename="conversation-${id}.json"` });
    const whole = JSON.parse(json.text) as { session_id: string; messages: Stored[] };
    expect(whole).toMatchObject({ session_id: id, topic: 'First "question"', chatflow_id: MODEL });
    expect(whole.messages).toHaveLength(24);
    expect(whole.messages[0]).toMatchObject({ role: 'user', content: 'First "question"\nof two' });
    expect(whole.messages.slice(-2)).toMatchObject([
      { content: 'Question 10' },
      { role: 'assistant', status: 'completed' },
    ]);
    const markdown = await download(alice, `${SESSIONS}/${id}/export?format=markdown`);
    expect(markdown).toMatchObject({ status: 200, type: 'text/markdown; charset=utf-8' });
    expect(markdown.text).toMatch(/^# First "question"\n/);
    expect(markdown.text.match(/^## (You|Assistant), /gm)).toHaveLength(24);
  });

  it('leaves together with all others of its workspace, line by line or as one document', async () => {
    const there = await proxy.person({ userId: alice.userId, workspaceId: 'w-1' });
    const ids = [await converse(alice, 'One'), await converse(alice, 'Two')];
    await converse(there, 'Elsewhere');
    const lines = (await download(alice, '/api/v1/chat/export')).text.trim().split('\n');
    const parsed = lines.map((line) => JSON.parse(line) as { type: string; session_id: string });
    expect(parsed.map(({ type }) => type)).toEqual(['session', 'message', 'message', 'session', 'message', 'message']);
    expect(new Set(parsed.map(({ session_id }) => session_id))).toEqual(new Set(ids));
    const { text, name } = await download(alice, '/api/v1/chat/export?format=json');
    expect(name).toBe('attachment; filename="conversations.json"');
    expect(JSON.parse(text)).toMatchObject({
      conversations: [
        { session_id: ids[1], messages: [{ content: 'Two' }, { role: 'assistant' }] },
        { session_id: ids[0] },
      ],
    });
    expect(JSON.parse((await download(await proxy.person(), '/api/v1/chat/export?format=json')).text)).toEqual({
      conversations: [],
    });
  });

  it('is to everybody else, and from another workspace, like one that does not exist', async () => {
    const id = await converse(alice, 'Mine', proxy.flowise.chain.id);
    const mallory = await proxy.person();
    const elsewhere = await proxy.person({ userId: alice.userId, workspaceId: 'w-1' });
    const reaches = (person: Person, session: string) =>
      Promise.all([
        person.call('GET', `${SESSIONS}/${session}/history`),
        person.call('PATCH', `${SESSIONS}/${session}`, { title: 'Mine now' }),
        person.call('GET', `${SESSIONS}/${session}/export`),
        person.call('GET', `${SESSIONS}/${session}/export?format=markdown`),
        person.call('DELETE', `${SESSIONS}/${session}`),
      ]);
    for (const person of [mallory, elsewhere]) {
      const foreign = await reaches(person, id);
      const unknown = await reaches(person, randomUUID());
      expect(foreign.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404]);
      const withoutIds = (answers: typeof foreign) =>
        answers.map(({ body }) => ({ ...body, requestId: '', instance: '' }));
      expect(withoutIds(foreign)).toEqual(withoutIds(unknown));
      const continued = await person.call('POST', STORE, askOf('And?', proxy.flowise.chain.id, id));
      expect(continued.status).toBe(404);
    }
    expect(await historyOf(alice, id)).toHaveLength(2);
    expect((await alice.call<Listed>('GET', SESSIONS)).body.sessions).toMatchObject([{ topic: 'Mine' }]);
  });
});

describe('a cursor', () => {
  it('of somebody else, or made by hand, shows nothing of others', async () => {
    const bob = await proxy.person();
    const [mine, theirs] = [await converse(alice, 'Mine'), await converse(bob, 'Theirs')];
    await converse(alice, 'More', MODEL, mine);
    await converse(bob, 'More', MODEL, theirs);
    const { body } = await bob.call<{ next_cursor: string }>('GET', `${SESSIONS}/${theirs}/history?limit=1`);
    const forged = Buffer.from(`${Date.now() + 1e9} ${theirs}`).toString('base64url');
    for (const cursor of [body.next_cursor, forged]) {
      const { body: seen } = await alice.call('GET', `${SESSIONS}/${mine}/history?cursor=${cursor}`);
      expect(JSON.stringify(seen)).not.toContain(theirs);
      const list = await alice.call<Listed>('GET', `${SESSIONS}?cursor=${cursor}`);
      expect(JSON.stringify(list.body.sessions)).not.toContain(theirs);
    }
    for (const bad of ['nonsense', Buffer.from('1 {"$gt":""}').toString('base64url'), 'x'.repeat(513)])
      expect((await alice.call('GET', `${SESSIONS}/${mine}/history?cursor=${bad}`)).status).toBe(400);
  });
});

describe('deleting while an answer runs', () => {
  it.each([MODEL, 'flow'])(
    'brings nothing of it back, also not into its successor with the same id: %s',
    async (name) => {
      const chatflowId = name === 'flow' ? proxy.flowise.chain.id : name;
      const id = await converse(alice, 'Before', chatflowId);
      const upstream = name === 'flow' ? proxy.flowise : proxy.openai;
      upstream.next({ tokens: 4, tokenDelayMs: 60 });
      const running = await startChat(proxy.url + STORE, alice.token, askOf('Meanwhile', chatflowId, id));
      await running.until('token');
      expect((await alice.call('DELETE', '/api/v1/chat/history')).body).toMatchObject({ sessions_deleted: 1 });
      const again = await converse(alice, 'Afterwards', chatflowId, id);
      await running.toEnd();
      await until(async () => (await proxy.db.collection('messages').countDocuments({ session_id: id })) === 2);
      expect(again).toBe(id);
      expect((await historyOf(alice, id)).map(({ content }) => content)[0]).toBe('Afterwards');
      if (name !== 'flow') return;
      const chats = proxy.flowise.requests.map(({ chatId }) => chatId);
      const noted = await proxy.db.collection('upstream_forgets').distinct('chat_id', { chat_id: { $in: chats } });
      expect(noted).toEqual([chats[0]]);
    },
  );
});

describe('where nothing may be kept', () => {
  const secret = () => `secret-${randomUUID()}`;
  async function leftInDatabase(text: string): Promise<string[]> {
    const found: string[] = [];
    for (const { name } of await proxy.db.listCollections().toArray())
      for (const row of await proxy.db.collection(name).find().toArray())
        if (JSON.stringify(row).includes(text)) found.push(name);
    return found;
  }

  it.each(['chatflow', 'workspace'])(
    'answers are given and say so, and nothing of them is in the database: by %s',
    async (by) => {
      const workspaceId = `w-${randomUUID()}`;
      proxy.auth.workspaces.add(workspaceId);
      const bob = await proxy.person({ workspaceId });
      const settings = `${ADMIN}/workspaces/${workspaceId}/chat-settings`;
      const kept = secret();
      await converse(bob, kept);
      expect(await leftInDatabase(kept)).toEqual(expect.arrayContaining(['messages', 'sessions']));
      if (by === 'workspace') await proxy.admin.call('PUT', settings, { store: 'nothing', retention_days: null });
      else await proxy.admin.call('PATCH', `${ADMIN}/chatflows/${encodeURIComponent(MODEL)}`, { store: 'nothing' });
      try {
        const question = secret();
        for (const path of [STORE, STREAM]) {
          const call = await (await startChat(proxy.url + path, bob.token, askOf(question, MODEL))).toEnd();
          expect(call.text).not.toBe('');
          expect(call.events[0]).toMatchObject({ event: 'session_id' });
          expect(call.events[0]?.['stored']).toBe(path === STORE ? false : undefined);
        }
        expect(await leftInDatabase(question)).toEqual([]);
        expect((await bob.call('GET', `${SESSIONS}?q=${question}`)).body).toMatchObject({ count: 0 });
      } finally {
        await proxy.admin.call('PATCH', `${ADMIN}/chatflows/${encodeURIComponent(MODEL)}`, { store: 'all' });
      }
    },
  );
});

describe('a deleted account', () => {
  it('takes its conversations of all workspaces along, and nobody else’s', async () => {
    const there = await proxy.person({ userId: alice.userId, workspaceId: 'w-1', balance: 100_000 });
    const bob = await proxy.person();
    const ids = [await converse(alice, 'One', proxy.flowise.chain.id), await converse(there, 'Two')];
    const kept = await converse(bob, 'Mine');
    const { body } = await proxy.admin.call('DELETE', `${ADMIN}/users/${alice.userId}/conversations`);
    expect(body).toEqual({ user_id: alice.userId, sessions_deleted: 2, messages_deleted: 4 });
    expect((await proxy.admin.call('DELETE', `${ADMIN}/users/${alice.userId}/conversations`)).body).toMatchObject({
      sessions_deleted: 0,
    });
    expect(await proxy.db.collection('messages').countDocuments({ session_id: { $in: ids } })).toBe(0);
    expect(await historyOf(bob, kept)).toHaveLength(2);
  });

  it('loses them by itself when auth tells of it', async () => {
    await converse(alice, 'One');
    const userId = UserId.parse(alice.userId);
    const leads = proxy.db.collection('leads');
    const left = { chatflowid: proxy.flowise.chain.id, chatId: 'mine', name: 'Alice' };
    expect((await alice.call('POST', '/api/v1/leads', left)).status).toBe(200);
    expect(await leads.countDocuments({ owner: userId })).toBe(1);
    const told = { id: `user:${userId}`, madeAt: Date.now(), reason: 'account-deleted' };
    proxy.auth.revocations.push({ kind: 'user', userId, minVersion: Number.MAX_SAFE_INTEGER, ...told });
    for (const collection of ['sessions', 'messages'])
      await until(async () => (await proxy.db.collection(collection).countDocuments({ user_id: userId })) === 0);
    await until(async () => (await proxy.db.collection('user_erasures').countDocuments({})) === 0);
    expect(await leads.countDocuments({ owner: userId })).toBe(0);
    expect((await alice.call('GET', SESSIONS)).status).toBe(401);
  });
});
