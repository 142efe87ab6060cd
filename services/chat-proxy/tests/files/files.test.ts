import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import sharp from 'sharp';
import { FormData } from 'undici';
import { type Person, type Proxy, startProxy, until } from '../fixtures/proxy.ts';
import { bearer, type Bytes, idOf, read, send, upload } from './requests.ts';
import { BEGINNINGS, cameraJpeg, hugePng, png } from './samples.ts';

const QUOTA_BYTES = 2_000_000;
const QUOTA_FILES = 40;

let proxy: Proxy;
let alice: Person;
let mallory: Person;
beforeAll(async () => {
  proxy = await startProxy({
    env: {
      FILE_QUOTA_BYTES: String(QUOTA_BYTES),
      FILE_QUOTA_FILES: String(QUOTA_FILES),
      FILE_CLEAR_INTERVAL: '20ms',
      THUMBNAIL_MAX_PIXELS: '1000000',
    },
  });
  alice = await proxy.person();
  mallory = await proxy.person();
});
afterAll(() => proxy.stop());

const count = (collection: string, filter: object = {}) => proxy.db.collection(collection).countDocuments(filter);
const quotaOf = async ({ userId }: Person) => {
  const row = await proxy.db
    .collection<{ _id: string; bytes: number; files: number }>('file_quotas')
    .findOne({ _id: userId });
  return { bytes: row?.bytes ?? 0, files: row?.files ?? 0 };
};
const bytesOf = (size: number, seed = randomUUID()) =>
  Buffer.from(seed.repeat(Math.ceil(size / seed.length)).slice(0, size));

describe('an uploaded file', () => {
  it('is listed in its conversation, read as it was, and gone when it is deleted', async () => {
    const sessionId = randomUUID();
    const bytes = bytesOf(700_000);
    const stored = await upload(proxy, alice, { bytes, name: '../Übung (1).txt', sessionId });
    expect(stored).toMatchObject({ status: 200, body: { message: 'File uploaded successfully' } });
    const list = await read(proxy, alice, `session/${sessionId}`);
    expect(list.body).toMatchObject({
      session_id: sessionId,
      files: [
        {
          file_id: idOf(stored),
          original_name: 'Übung (1).txt',
          mime_type: 'text/plain',
          file_size: 700_000,
          upload_type: 'file',
          processed: true,
          metadata: {},
        },
      ],
    });
    const whole = await read(proxy, alice, idOf(stored));
    expect(whole.status).toBe(200);
    expect(whole.bytes.equals(bytes)).toBe(true);
    expect(whole.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-length': '700000',
      'cache-control': 'private, no-store',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
      'content-disposition': `attachment; filename="_bung _1_.txt"; filename*=UTF-8''%C3%9Cbung%20%281%29.txt`,
    });
    expect((await alice.call('DELETE', `/api/v1/chat/files/${idOf(stored)}`)).body).toEqual({
      message: 'File deleted successfully',
      file_id: idOf(stored),
    });
    expect((await read(proxy, alice, idOf(stored))).status).toBe(404);
    expect((await alice.call('DELETE', `/api/v1/chat/files/${idOf(stored)}`)).status).toBe(404);
    expect(await quotaOf(alice)).toEqual({ bytes: 0, files: 0 });
  });

  it('is read in parts', async () => {
    const bytes = bytesOf(600_000);
    const id = idOf(await upload(proxy, alice, { bytes }));
    const part = await read(proxy, alice, id, { range: 'bytes=261000-270000' });
    expect(part).toMatchObject({
      status: 206,
      headers: { 'content-range': 'bytes 261000-270000/600000', 'content-length': '9001' },
    });
    expect(part.bytes.equals(bytes.subarray(261_000, 270_001))).toBe(true);
    expect((await read(proxy, alice, id, { range: 'bytes=-1' })).bytes).toEqual(bytes.subarray(-1));
    expect((await read(proxy, alice, id, { range: 'bytes=1-2', 'if-range': '"x"' })).status).toBe(200);
    const behind = await read(proxy, alice, id, { range: 'bytes=600000-' });
    expect(behind).toMatchObject({ status: 416, headers: { 'content-range': 'bytes */600000' } });
    const head = await send(`${proxy.url}/api/v1/chat/files/${id}`, { method: 'HEAD', headers: bearer(alice) });
    expect(head).toMatchObject({ status: 200, headers: { 'content-length': '600000' }, bytes: Buffer.alloc(0) });
    await alice.call('DELETE', `/api/v1/chat/files/${id}`);
  });

  it.each([
    ['a lie about its type', { mime: 'image/png', name: 'a.png' }, 415],
    ['a script', { mime: 'text/html', name: 'a.html' }, 415],
    ['another extension', { mime: 'text/plain', name: 'a.html' }, 415],
    ['a conversation that is none', { sessionId: '../../etc' }, 400],
    ['nothing in it', { bytes: Buffer.alloc(0) }, 415],
  ])('is refused for %s, and nothing stays', async (_what, changes, status) => {
    const before = await count('file_bytes.chunks');
    const refused = await upload(proxy, alice, { bytes: Buffer.from('words'), ...changes });
    expect(refused.status).toBe(status);
    expect(await quotaOf(alice)).toEqual({ bytes: 0, files: 0 });
    await until(async () => (await count('file_bytes.chunks')) === before);
  });

  it('is refused above ten megabytes, and without a file', async () => {
    const large = await upload(proxy, alice, { bytes: Buffer.alloc(10 * 1024 * 1024 + 1, 65) });
    expect(large).toMatchObject({
      status: 413,
      body: { code: expect.stringMatching(/body_too_large|file_quota_exceeded/) },
    });
    const form = new FormData();
    form.append('session_id', randomUUID());
    const without = await send(`${proxy.url}/api/v1/chat/upload`, {
      method: 'POST',
      headers: bearer(alice),
      body: form,
    });
    expect(without).toMatchObject({ status: 400, body: { errors: [{ path: 'file' }] } });
  });

  it.each(Object.entries(BEGINNINGS))('of the type %s is kept', async (mime, { bytes, extension }) => {
    const stored = await upload(proxy, alice, { bytes, mime, name: `a.${extension}` });
    expect(stored).toMatchObject({ status: 200, body: { file: { mime_type: mime } } });
    const back = await read(proxy, alice, idOf(stored));
    expect(String(back.headers['content-disposition'])).toMatch(mime.startsWith('image/') ? /^inline/ : /^attachment/);
    const kept = await read(proxy, alice, `${idOf(stored)}?download=true`);
    expect(String(kept.headers['content-disposition'])).toMatch(/^attachment/);
    await alice.call('DELETE', `/api/v1/chat/files/${idOf(stored)}`);
  });
});

describe("somebody else's file", () => {
  it('does not exist, on any route', async () => {
    const sessionId = randomUUID();
    const id = idOf(await upload(proxy, alice, { bytes: await png(), mime: 'image/png', name: 'a.png', sessionId }));
    const unknown = randomUUID();
    for (const path of [`${id}`, `${id}?download=true`, `${id}/thumbnail`]) {
      const [foreign, none] = [await read(proxy, mallory, path), await read(proxy, mallory, path.replace(id, unknown))];
      expect([foreign.status, foreign.body['code']]).toEqual([404, 'not_found']);
      expect(foreign.body['detail']).toBe(none.body['detail']);
    }
    expect((await mallory.call('DELETE', `/api/v1/chat/files/${id}`)).status).toBe(404);
    expect((await read(proxy, mallory, `session/${sessionId}`)).body).toMatchObject({ files: [] });
    // Into a conversation of that name of one's own.
    await upload(proxy, mallory, { bytes: Buffer.from('x'), sessionId });
    expect((await read(proxy, alice, `session/${sessionId}`)).body['files']).toHaveLength(1);
    expect((await read(proxy, alice, id)).status).toBe(200);
    await alice.call('DELETE', `/api/v1/chat/files/${id}`);
  });

  it.each(['..%2f..%2fetc%2fpasswd', '%2e%2e', '..;', 'a.png', '%00', "'%20or%201=1", '$ne', '{"$gt":""}'])(
    'is not reached by the id %s',
    async (id) => {
      expect((await read(proxy, alice, encodeURI(id))).status).toBeGreaterThanOrEqual(400);
      expect((await read(proxy, alice, `session/${encodeURIComponent(id)}`)).status).toBe(400);
    },
  );
});

describe('fifty uploads at once', () => {
  it('never take up more than the quota, in bytes and in number', async () => {
    const greedy = await proxy.person();
    const large = await Promise.all(
      Array.from({ length: 50 }, () => upload(proxy, greedy, { bytes: bytesOf(150_000) })),
    );
    const kept = large.filter(({ status }) => status === 200);
    const refused = large.filter(({ status }) => status === 413);
    expect(kept.length + refused.length).toBe(50);
    expect(refused.every(({ body }) => body['code'] === 'file_quota_exceeded')).toBe(true);
    expect(kept.length).toBeLessThanOrEqual(Math.floor(QUOTA_BYTES / 150_000));
    expect(kept.length).toBeGreaterThan(0);
    expect(await quotaOf(greedy)).toEqual({ bytes: kept.length * 150_000, files: kept.length });

    const many = await proxy.person();
    const small = await Promise.all(
      Array.from({ length: 50 }, (_, at) => upload(proxy, many, { bytes: Buffer.from(`${at}`) })),
    );
    expect(small.filter(({ status }) => status === 200)).toHaveLength(QUOTA_FILES);
    expect(await quotaOf(many)).toMatchObject({ files: QUOTA_FILES });
  });

  it('of the same bytes lie in one place, which goes with the last of them', async () => {
    const twin = await proxy.person();
    const other = await proxy.person();
    const bytes = bytesOf(50_000);
    const before = await count('file_bytes.files');
    const stored = await Promise.all(Array.from({ length: 30 }, () => upload(proxy, twin, { bytes })));
    const foreign = await upload(proxy, other, { bytes });
    expect(stored.every(({ status }) => status === 200)).toBe(true);
    expect(new Set(stored.map(idOf)).size).toBe(30);
    await until(async () => (await count('file_bytes.files')) === before + 2);

    const ids = stored.map(idOf);
    const remove = (id: string) => twin.call('DELETE', `/api/v1/chat/files/${id}`);
    const race = await Promise.all([
      ...ids.slice(0, 25).map((id) => remove(id).then(() => undefined)),
      ...Array.from({ length: 5 }, () => upload(proxy, twin, { bytes })),
    ]);
    const left = [...ids.slice(25), ...race.filter((answer): answer is Bytes => answer !== undefined).map(idOf)];
    for (const id of left) expect((await read(proxy, twin, id)).bytes.equals(bytes)).toBe(true);
    expect(await quotaOf(twin)).toEqual({ bytes: left.length * 50_000, files: left.length });

    // Upload and delete of the only holder, over and over.
    await Promise.all(left.map(remove));
    const turns = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const id = idOf(await upload(proxy, twin, { bytes }));
        const back = await read(proxy, twin, id);
        await remove(id);
        return back.bytes.equals(bytes);
      }),
    );
    expect(turns.every(Boolean)).toBe(true);
    await until(async () => (await count('file_bytes.files')) === before + 1);
    expect(await count('file_blobs', { holders: { $size: 0 } })).toBe(0);
    expect(await quotaOf(twin)).toEqual({ bytes: 0, files: 0 });
    expect((await read(proxy, other, idOf(foreign))).bytes.equals(bytes)).toBe(true);
  });
});

describe('a thumbnail', () => {
  it('is a small picture without what the camera wrote, made once and gone with its file', async () => {
    const id = idOf(await upload(proxy, alice, { bytes: await cameraJpeg(), mime: 'image/jpeg', name: 'a.jpg' }));
    const [first, again] = [
      await read(proxy, alice, `${id}/thumbnail?size=50`),
      await read(proxy, alice, `${id}/thumbnail?size=64`),
    ];
    expect(first).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'image/webp',
        'cache-control': 'private, no-store',
        'x-content-type-options': 'nosniff',
      },
    });
    expect(again.bytes.equals(first.bytes)).toBe(true);
    // Turned upright: it was lying on its side.
    const { width, height, exif, format } = await sharp(first.bytes).metadata();
    expect({ width, height, exif, format }).toEqual({ width: 30, height: 60, exif: undefined, format: 'webp' });
    expect(first.bytes.includes('home')).toBe(false);
    const before = await count('file_thumbnails');
    await alice.call('DELETE', `/api/v1/chat/files/${id}`);
    expect(await count('file_thumbnails')).toBe(before - 1);
  });

  it.each([
    ['a bomb', { bytes: hugePng(60_000, 60_000), mime: 'image/png' }, { width: 60_000, height: 60_000 }],
    ['a broken picture', { bytes: hugePng(20, 20), mime: 'image/png' }, { width: 20, height: 20 }],
    ['words', { bytes: Buffer.from('words'), mime: 'text/plain' }, {}],
  ])('is not made of %s', async (_what, file, metadata) => {
    const stored = await upload(proxy, alice, { ...file, name: 'x' });
    expect(stored.body['file']).toMatchObject({ metadata });
    expect(await read(proxy, alice, `${idOf(stored)}/thumbnail`)).toMatchObject({
      status: 422,
      body: { code: 'no_thumbnail' },
    });
    await alice.call('DELETE', `/api/v1/chat/files/${idOf(stored)}`);
  });

  it.each(['0', '-1', '1e9', 'x', '9999'])('of the size %s is refused', async (size) => {
    expect((await read(proxy, alice, `${randomUUID()}/thumbnail?size=${size}`)).status).toBe(400);
  });
});
