import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { FormData } from 'undici';
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

describe('the probes of a window', () => {
  it('answer whoever may chat, also by a key that can do nothing else', async () => {
    const headers = { authorization: `Bearer ${makeKey(alice.userId, ['chat:use']).text}` };
    const other = { authorization: `Bearer ${makeKey(alice.userId, ['credits:read-own']).text}` };
    for (const probe of ['chatflows-streaming', 'public-chatbotConfig']) {
      expect([probe, (await send(`/api/v1/${probe}/${chain}`, { headers })).status]).toEqual([probe, 200]);
      expect([probe, (await send(`/api/v1/${probe}/${chain}`, { headers: other })).status]).toEqual([probe, 403]);
      expect([probe, (await send(`/api/v1/${probe}/${agent}`, { headers })).status]).toEqual([probe, 404]);
    }
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
    const { body } = await predict(alice, { question: 'Forget this', chatId: 'gone' });
    const rating = { chatId: 'gone', messageId: body['chatMessageId'], rating: 'THUMBS_DOWN', content: 'mine' };
    expect((await alice.call('POST', `/api/v1/feedback/${chain}`, rating)).status).toBe(200);
    const path = `/api/v1/chatmessage/${chain}?chatId=gone`;
    expect((await bob.call('DELETE', path)).body).toEqual({ raw: [], affected: 0 });
    expect((await alice.call('DELETE', path)).body).toEqual({ raw: [], affected: 2 });
    expect((await alice.call('GET', path)).body).toEqual([]);
    expect(await proxy.db.collection('message_feedback').countDocuments({ content: 'mine' })).toBe(0);
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
