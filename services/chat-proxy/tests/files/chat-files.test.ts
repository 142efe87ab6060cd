import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { directive, startChat } from '@tollgate/test-kit';
import { STORE, STREAM } from '../fixtures/asking.ts';
import { type Person, type Proxy, startProxy, until } from '../fixtures/proxy.ts';
import { idOf, type Message, read, send, upload } from './requests.ts';
import { BEGINNINGS, png } from './samples.ts';

const QUOTA_BYTES = 100_000;
const MODEL = 'model:priced';

let proxy: Proxy;
let alice: Person;
let PNG: string;
beforeAll(async () => {
  proxy = await startProxy({ env: { FILE_QUOTA_BYTES: String(QUOTA_BYTES), FILE_CLEAR_INTERVAL: '20ms' } });
  const all = { images: true, files: true, audio: true };
  for (const { id } of [proxy.flowise.chain, proxy.flowise.agentflow])
    await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${id}`, { uploads: all });
  PNG = (await png()).toString('base64');
});
afterAll(() => proxy.stop());
beforeEach(async () => {
  proxy.flowise.reset();
  proxy.openai.reset();
  alice = await proxy.person();
});

const picture = (name = 'a.png') => ({ data: PNG, type: 'file', name, mime: 'image/png' });
const note = (text = 'words') => ({
  data: `data:;base64,${Buffer.from(text).toString('base64')}`,
  type: 'file',
  name: 'a.txt',
  mime: 'text/plain',
});

interface Asking {
  readonly person?: Person;
  readonly path?: string;
  readonly chatflow?: string;
  readonly sessionId?: string;
  readonly question?: string;
}

async function ask(
  uploads: unknown[],
  { person = alice, path = STORE, chatflow = proxy.flowise.chain.id, ...more }: Asking = {},
) {
  const body = { question: 'What is this?', chatflow_id: chatflow, uploads, ...more };
  const call = await (await startChat(proxy.url + path, person.token, body)).toEnd();
  const kept = call.data('files_uploaded') as { file_id?: string; name: string }[] | undefined;
  return { call, sessionId: String(call.data('session_id')), kept: kept ?? [] };
}
const historyOf = async (sessionId: string, person = alice): Promise<Message[]> =>
  (await person.call<{ history: Message[] }>('GET', `/api/v1/chat/sessions/${sessionId}/history`)).body.history;
const rowsOf = (person: Person) => proxy.db.collection('files').countDocuments({ user_id: person.userId });
const heldBy = async ({ userId }: Person) =>
  (await proxy.db.collection<{ _id: string; bytes: number }>('file_quotas').findOne({ _id: userId }))?.bytes ?? 0;
const sent = (index = 0) =>
  proxy.flowise.requests[index]?.body as { uploads?: { data: string; mime: string; type: string; name: string }[] };

describe('files that come with a question', () => {
  it('go to the flow as data URLs, and into the history with links that need no token', async () => {
    const { call, sessionId, kept } = await ask([picture('../Foto 1.png'), note()]);
    expect(call.status).toBe(200);
    expect(kept).toEqual([
      { file_id: expect.any(String), name: 'Foto 1.png', type: 'file', mime: 'image/png', size: expect.any(Number) },
      { file_id: expect.any(String), name: 'a.txt', type: 'file', mime: 'text/plain', size: 5 },
    ]);
    expect(sent().uploads).toEqual([
      { type: 'file', name: 'Foto 1.png', mime: 'image/png', data: `data:image/png;base64,${PNG}` },
      {
        type: 'file',
        name: 'a.txt',
        mime: 'text/plain',
        data: `data:text/plain;base64,${Buffer.from('words').toString('base64')}`,
      },
    ]);

    const [question, answer] = await historyOf(sessionId);
    expect(question).toMatchObject({ role: 'user', has_files: true, file_ids: kept.map(({ file_id }) => file_id) });
    expect(answer).toMatchObject({ role: 'assistant', has_files: false, file_ids: [], uploads: [] });
    const [image, text] = question?.uploads ?? [];
    expect(image).toMatchObject({ name: 'Foto 1.png', is_image: true, type: 'file', mime: 'image/png' });
    expect(text).toMatchObject({ is_image: false, thumbnail_url: null, thumbnail_small: null });

    const shown = await send(proxy.url + image?.url);
    expect(shown).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'image/png',
        'cross-origin-resource-policy': 'cross-origin',
        'cache-control': 'private, no-store',
      },
    });
    expect(shown.bytes.toString('base64')).toBe(PNG);
    expect(String(shown.headers['content-disposition'])).toMatch(/^inline/);
    expect((await send(proxy.url + image?.download_url)).headers['content-disposition']).toMatch(/^attachment/);
    expect(await send(proxy.url + image?.thumbnail_url)).toMatchObject({
      status: 200,
      headers: { 'content-type': 'image/webp' },
    });
    expect((await send(proxy.url + text?.url)).headers['content-disposition']).toMatch(/^attachment/);

    expect((await read(proxy, alice, `message/${question?.id}`)).body['files']).toHaveLength(2);
    expect((await read(proxy, alice, `session/${sessionId}`)).body['files']).toHaveLength(2);
    const bob = await proxy.person();
    expect((await read(proxy, bob, `message/${question?.id}`)).body['files']).toEqual([]);
  });

  it('are gone with their links when they or their conversation are deleted', async () => {
    const { sessionId } = await ask([picture(), note()]);
    const [image, text] = (await historyOf(sessionId))[0]?.uploads ?? [];
    await alice.call('DELETE', `/api/v1/chat/files/${image?.file_id}`);
    expect((await send(proxy.url + image?.url)).status).toBe(404);
    expect((await send(proxy.url + image?.thumbnail_url)).status).toBe(404);
    expect((await historyOf(sessionId))[0]?.uploads).toHaveLength(1);

    await alice.call('DELETE', `/api/v1/chat/sessions/${sessionId}`);
    expect((await send(proxy.url + text?.url)).status).toBe(404);
    await until(async () => (await rowsOf(alice)) === 0);
    expect(await heldBy(alice)).toBe(0);
  });

  it('are reached by no link that was altered', async () => {
    const { sessionId } = await ask([picture(), note()]);
    const [image, text] = (await historyOf(sessionId))[0]?.uploads ?? [];
    const altered = [
      String(image?.url).replace('variant=view', 'variant=download'),
      String(image?.url).replace(String(image?.file_id), String(text?.file_id)),
      String(image?.url).replace(/expires=\d+/, 'expires=9999999999'),
      String(image?.url).replace(/signature=./, (found) => (found.endsWith('A') ? 'signature=B' : 'signature=A')),
    ];
    for (const link of altered) expect((await send(proxy.url + link)).status).toBe(404);
  });

  it('are read out by Flowise when the whole document is meant, unless that was done before', async () => {
    const whole = { ...note('the whole document'), type: 'file:full' };
    const before = { data: 'read out before', type: 'file:full', name: 'b.pdf', mime: 'application/pdf' };
    const { call, sessionId } = await ask([whole, before]);
    expect(call.status).toBe(200);
    expect(sent().uploads?.map(({ type, name, data }) => ({ type, name, data }))).toEqual([
      { type: 'file:full', name: 'a.txt', data: 'the whole document' },
      { type: 'file:full', name: 'b.pdf', data: 'read out before' },
    ]);
    const { chatId } = await proxy.flowise.untilCall(0);
    const attached = proxy.flowise.otherRequests.filter(({ path }) => path.includes('/attachments/'));
    expect(attached.map(({ path }) => path)).toEqual([`/api/v1/attachments/${proxy.flowise.chain.id}/${chatId}`]);
    expect((await historyOf(sessionId))[0]?.uploads).toMatchObject([
      { name: 'a.txt' },
      { name: 'b.pdf.txt', mime: 'text/plain' },
    ]);
    const { call: refused } = await ask([
      {
        data: BEGINNINGS['application/pdf']?.bytes.toString('base64'),
        type: 'file:full',
        name: 'c.pdf',
        mime: 'application/pdf',
      },
    ]);
    expect(refused.problem).toMatchObject({ status: 400, code: 'validation_failed' });
    expect(proxy.flowise.calls()).toBe(1);
  });

  it('may be asked about again by their ids, and lie there once', async () => {
    const { sessionId, kept } = await ask([picture()]);
    const file_id = kept[0]?.file_id;
    const again = await ask([{ file_id }, { file_id }], { sessionId });
    expect(again.kept.map((file) => file.file_id)).toEqual([file_id, file_id]);
    expect(sent(1).uploads?.map(({ data }) => data)).toEqual(Array(2).fill(`data:image/png;base64,${PNG}`));
    expect(await rowsOf(alice)).toBe(1);
    const questions = (await historyOf(sessionId)).filter(({ role }) => role === 'user');
    expect(questions.map(({ file_ids }) => file_ids)).toEqual([[file_id], [file_id]]);

    // In another conversation it is a file of that one as well: it outlives the first.
    const elsewhere = await ask([{ file_id }]);
    expect(elsewhere.kept[0]?.file_id).not.toBe(file_id);
    await alice.call('DELETE', `/api/v1/chat/sessions/${sessionId}`);
    await until(async () => (await rowsOf(alice)) === 1);
    expect((await read(proxy, alice, String(elsewhere.kept[0]?.file_id))).bytes.toString('base64')).toBe(PNG);
  });

  it('may have been uploaded before, also without a conversation', async () => {
    const bytes = Buffer.from(PNG, 'base64');
    const stored = await upload(proxy, alice, { bytes, mime: 'image/png', name: 'b.png', sessionId: '' });
    const { sessionId, kept } = await ask([{ file_id: idOf(stored) }]);
    expect(kept).toMatchObject([{ file_id: idOf(stored), name: 'b.png' }]);
    expect((await read(proxy, alice, `session/${sessionId}`)).body).toMatchObject({
      files: [{ file_id: idOf(stored) }],
    });
  });

  it('are kept nowhere when the question is not', async () => {
    const { call, kept } = await ask([picture()], { path: STREAM });
    expect(call.status).toBe(200);
    expect(kept).toEqual([expect.not.objectContaining({ file_id: expect.anything() })]);
    await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${proxy.flowise.agentflow.id}`, { store: 'nothing' });
    await until(
      async () => (await ask([picture()], { chatflow: proxy.flowise.agentflow.id })).kept[0]?.file_id === undefined,
    );
    await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${proxy.flowise.agentflow.id}`, { store: 'all' });
    expect(await rowsOf(alice)).toBe(0);
  });

  it('go again when nothing is answered', async () => {
    const poor = await proxy.person({ balance: 0 });
    expect((await ask([picture()], { person: poor })).call.status).toBe(402);
    const failing = `Fail ${directive({ error: { status: 500 } })}`;
    expect((await ask([picture()], { question: failing })).call.status).toBe(502);
    for (const person of [poor, alice]) {
      await until(async () => (await rowsOf(person)) === 0);
      expect(await heldBy(person)).toBe(0);
    }
  });

  it('are refused above the quota before anything is asked or reserved', async () => {
    const text = 'x'.repeat(QUOTA_BYTES / 2 - 10);
    const before = proxy.accounting.settlements.length;
    const { call } = await ask([note(text), note(`${text}y`), note(text)]);
    expect(call.problem).toMatchObject({ status: 413, code: 'file_quota_exceeded' });
    expect(proxy.flowise.calls()).toBe(0);
    expect(proxy.accounting.settlements.length).toBe(before);
    expect(await proxy.db.collection('sessions').countDocuments({ user_id: alice.userId })).toBe(0);
    await until(async () => (await rowsOf(alice)) === 0);
    expect(await heldBy(alice)).toBe(0);
  });

  it('of somebody else do not exist', async () => {
    const bob = await proxy.person();
    const foreign = idOf(await upload(proxy, bob, { bytes: Buffer.from('secret') }));
    for (const file_id of [foreign, randomUUID()]) {
      const { call } = await ask([picture(), { file_id }]);
      expect(call.problem).toMatchObject({
        status: 400,
        errors: [{ path: 'uploads.1', message: 'there is no such file' }],
      });
    }
    expect(proxy.flowise.calls()).toBe(0);
  });

  it('are refused where the chatflow does not take their kind', async () => {
    const id = proxy.flowise.agentflow.id;
    await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${id}`, {
      uploads: { images: false, files: true, audio: false },
    });
    await until(async () => (await ask([picture()], { chatflow: id })).call.status === 400);
    expect((await ask([note()], { chatflow: id })).call.status).toBe(200);
    const audio = BEGINNINGS['audio/webm']?.bytes.toString('base64');
    expect(
      (await ask([{ data: audio, type: 'audio', name: 'a.webm', mime: 'audio/webm' }], { chatflow: id })).call.status,
    ).toBe(400);
    await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${id}`, {
      uploads: { images: true, files: true, audio: true },
    });
    await until(async () => (await ask([picture()], { chatflow: id })).call.status === 200);
  });

  it.each(['audio/webm', 'audio/mpeg', 'audio/wav', 'audio/ogg', 'audio/mp4'])(
    'are audio as %s by their bytes',
    async (mime) => {
      const { bytes, extension } = BEGINNINGS[mime] ?? { bytes: Buffer.alloc(0), extension: '' };
      const sound = {
        data: bytes.toString('base64'),
        type: 'audio',
        name: `a.${extension}`,
        mime: `${mime};codecs=opus`,
      };
      expect((await ask([sound])).call.status).toBe(200);
      expect(sent().uploads).toMatchObject([{ type: 'audio', mime }]);
      expect((await ask([{ ...sound, data: PNG }])).call.status).toBe(400);
      expect((await ask([{ ...sound, type: 'file' }])).call.status).toBe(400);
    },
  );
});

describe('a model', () => {
  it('is shown pictures beside the question, and refuses everything else before it is asked', async () => {
    const { call, sessionId, kept } = await ask([picture()], { chatflow: MODEL });
    expect(call.status).toBe(200);
    expect(proxy.openai.requests[0]?.body).toMatchObject({
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } },
          ],
        },
      ],
    });
    expect((await historyOf(sessionId))[0]?.file_ids).toEqual([kept[0]?.file_id]);
    expect((await ask([note()], { chatflow: MODEL })).call.problem).toMatchObject({ status: 400 });
    expect(proxy.openai.calls()).toBe(1);
  });
});
