import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request } from 'undici';
import { bearer, idOf, upload } from '../files/requests.ts';
import { askOf, STORE } from '../fixtures/asking.ts';
import { type Person, type Proxy, startProxy, until } from '../fixtures/proxy.ts';
import { SocketClient } from '../fixtures/socket-client.ts';

const WORD = 'zanzibar';

let proxy: Proxy;
let alice: Person;
let others: Readonly<Record<string, Person>>;
/** What Alice has, by the names under which paths below ask for it. */
let names: Readonly<Record<string, string>>;

const send = async (method: string, path: string, who: Person, body?: unknown) => {
  const response = await request(proxy.url + path, {
    method: method as 'GET',
    headers: { ...bearer(who), ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.statusCode, text: await response.body.text() };
};

beforeAll(async () => {
  proxy = await startProxy();
  alice = await proxy.person({ balance: 1_000_000 });
  others = {
    'somebody else': await proxy.person({ balance: 1_000_000 }),
    'the same user in another workspace': await proxy.person({
      userId: alice.userId,
      workspaceId: 'w-2',
      balance: 1_000_000,
    }),
    'an administrator': proxy.admin,
  };
  proxy.accounting.balances.set(proxy.admin.userId, 1_000_000);
  const flow = proxy.flowise.chain.id;
  const whole = await send('POST', `/api/v1/prediction/${flow}`, alice, { question: WORD, chatId: 'mine' });
  const answer = (JSON.parse(whole.text) as { chatMessageId: string }).chatMessageId;
  const stream = (await send('POST', STORE, alice, askOf(WORD, flow))).text;
  const session = /"session_id","data":"([^"]+)"/.exec(stream)?.[1] ?? '';
  const file = idOf(await upload(proxy, alice, { bytes: Buffer.from(WORD), name: 'note.txt', sessionId: session }));
  const rated = { chatId: 'mine', messageId: answer, rating: 'THUMBS_UP', content: WORD };
  const feedback = (await alice.call<{ id: string }>('POST', `/api/v1/feedback/${flow}`, rated)).body.id;
  // The AI server's id of it comes afterwards: what is compared below must not change by itself.
  const told = { upstream_id: { $exists: true } };
  await until(async () => (await proxy.db.collection('message_feedback').findOne(told)) !== null);
  const history = (await alice.call('GET', `/api/v1/chat/sessions/${session}/history`)).body as {
    history: { id: string; request_id: string | null }[];
  };
  const message = history.history[0]?.id ?? '';
  const running = history.history[1]?.request_id ?? '';
  names = { flow, session, answer, file, feedback, message, running };
});
afterAll(() => proxy.stop());

const CALLS: [method: string, path: string, status: number, body?: object][] = [
  ['GET', '/api/v1/chat/sessions/<session>/history', 404],
  ['GET', '/api/v1/chat/sessions/<session>/export', 404],
  ['PATCH', '/api/v1/chat/sessions/<session>', 404, { title: 'Mine now' }],
  ['POST', STORE, 404, { question: 'And?', chatflow_id: '<flow>', sessionId: '<session>' }],
  ['GET', '/api/v1/chat/streams/<running>', 404],
  ['DELETE', '/api/v1/chat/streams/<running>', 404],
  ['GET', '/api/v1/chat/streams/<answer>', 404],
  ['GET', '/api/v1/chat/files/<file>', 404],
  ['GET', '/api/v1/chat/files/<file>/thumbnail', 404],
  ['GET', '/api/v1/chat/files/session/<session>', 200],
  ['GET', '/api/v1/chat/files/message/<message>', 200],
  ['POST', '/api/v1/chat/predict', 400, { question: 'x', chatflow_id: '<flow>', uploads: [{ file_id: '<file>' }] }],
  ['GET', '/api/v1/get-upload-file?chatflowId=<flow>&chatId=mine&fileName=note.txt', 404],
  ['GET', '/api/v1/get-upload-file?chatflowId=<flow>&chatId=<session>&fileName=note.txt', 404],
  ['GET', '/api/v1/chatmessage/<flow>?chatId=mine', 200],
  ['GET', '/api/v1/chatmessage/<flow>?chatId=<session>', 200],
  ['PUT', '/api/v1/chatmessage/abort/<flow>/mine', 200],
  [
    'POST',
    '/api/v1/feedback/<flow>',
    404,
    { chatId: 'mine', messageId: '<answer>', rating: 'THUMBS_DOWN', content: '' },
  ],
  ['PUT', '/api/v1/feedback/<feedback>', 404, { content: 'changed' }],
  [
    'POST',
    '/api/v1/text-to-speech/generate',
    404,
    { chatflowId: '<flow>', chatId: 'mine', chatMessageId: '<answer>', text: 'x' },
  ],
  ['GET', '/api/v1/chat/sessions', 200],
  ['GET', `/api/v1/chat/sessions?q=${WORD}`, 200],
  ['GET', '/api/v1/chat/export', 200],
  ['DELETE', '/api/v1/chatmessage/<flow>?chatId=mine', 200],
  ['DELETE', '/api/v1/chatmessage/<flow>?chatId=<session>', 200],
  ['DELETE', '/api/v1/chat/sessions/<session>', 404],
  ['DELETE', '/api/v1/chat/files/<file>', 404],
  ['DELETE', '/api/v1/chat/history', 200],
];

/** Of one length: what a row leaves out would be taken for a callback. */
const ROWS = CALLS.map(([method, path, status, body]) => [method, path, { status, body }] as const);

/** Everything in the database that is about Alice's conversations. */
async function belongings(): Promise<string> {
  const collections = ['sessions', 'messages', 'files', 'file_blobs', 'message_feedback'];
  const rows = await Promise.all(
    collections.map((name) => proxy.db.collection(name).find().sort({ _id: 1 }).toArray()),
  );
  const own = [Object.values(names), alice.userId].flat();
  return JSON.stringify(rows.map((some) => some.filter((row) => own.some((one) => JSON.stringify(row).includes(one)))));
}

const filled = (text: string): string => text.replaceAll(/<(\w+)>/g, (_, name: string) => names[name] ?? '');

describe.each(['somebody else', 'the same user in another workspace', 'an administrator'])('to %s', (who) => {
  it.each(ROWS)('%s %s shows nothing of Alice’s and changes nothing of it', async (method, path, { status, body }) => {
    const before = await belongings();
    const other = others[who] as Person; // one of the three
    const sent = body && (JSON.parse(filled(JSON.stringify(body))) as object);
    const answer = await send(method, filled(path), other, sent);
    expect([answer.status, answer.text.includes(WORD)]).toEqual([status, false]);
    // What the caller has opened meanwhile is the caller's.
    const after = await belongings();
    expect(JSON.parse(after)).toEqual(JSON.parse(before));
  });

  it('a WebSocket neither reads nor stops an answer of Alice’s, nor goes on with her conversation', async () => {
    const client = await SocketClient.open(proxy.url, { token: (others[who] as Person).token });
    const { running, session, flow } = names;
    client.send({ type: 'resume', id: 'a', request_id: running });
    client.send({ type: 'ask', id: 'b', question: 'And?', chatflow_id: flow, sessionId: session });
    client.send({ type: 'stop', request_id: running });
    await client.until(() => client.said.filter(({ type }) => type === 'error').length === 3);
    expect(['a', 'b', undefined].map((id) => client.problemOf(id))).toEqual(['not_found', 'not_found', 'not_found']);
    client.socket.terminate();
  });
});
