import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Mongo, openMongo, runMigrations } from '@tollgate/mongo-kit';
import { manualClock, mongoDatabaseUrl, newUserId } from '@tollgate/test-kit';
import { KNOWN_TYPES } from '../../src/domain/files/file-types.ts';
import { LARGEST_FILE, type CheckedUpload } from '../../src/domain/file-rules.ts';
import type { SessionId, UserId } from '../../src/domain/wire-types.ts';
import { createClearFiles } from '../../src/flows/files/clear-files.ts';
import { keepFiles } from '../../src/flows/files/keep-files.ts';
import { createReadFiles } from '../../src/flows/files/read-files.ts';
import { createStoreFile } from '../../src/flows/files/store-file.ts';
import type { Owner } from '../../src/ports.ts';
import { blobsIn } from '../../src/store/files/blobs.ts';
import { filesIn } from '../../src/store/files/files.ts';
import { quotasIn } from '../../src/store/files/quotas.ts';
import { thumbnailsIn } from '../../src/store/files/thumbnails.ts';
import { MIGRATIONS } from '../../src/store/migrations.ts';

const HOUR_MS = 3_600_000;

let mongo: Mongo;
beforeAll(async () => {
  mongo = openMongo({ url: mongoDatabaseUrl(), defaultDatabase: 'unused' });
  await mongo.connected;
  await runMigrations(mongo.db(), MIGRATIONS);
});
afterAll(() => mongo.close());

/** Everything to do with files, over stores that die at the n-th of their calls and stay dead. */
function worldThatDiesAt(nth: number) {
  const clock = manualClock();
  let calls = 0;
  const mortal = <Store extends object>(store: Store): Store =>
    new Proxy(store, {
      get(target, name, receiver) {
        const operation: unknown = Reflect.get(target, name, receiver);
        if (typeof operation !== 'function' || name === 'newStorage' || name === 'read') return operation;
        return (...inputs: unknown[]): unknown => {
          calls += 1;
          if (calls >= nth) return Promise.reject(new Error('the process died'));
          return Reflect.apply(operation, target, inputs);
        };
      },
    });
  const stores = {
    files: mortal(filesIn(mongo, 'default')),
    blobs: mortal(blobsIn(mongo)),
    quotas: mortal(quotasIn(mongo)),
    thumbnails: mortal(thumbnailsIn(mongo)),
  };
  const pictures = { measure: async () => undefined, thumbnail: async () => undefined };
  const clearing = createClearFiles({ ...stores, clock });
  const storing = createStoreFile({
    ...stores,
    pictures,
    clearing,
    newId: randomUUID,
    clock,
    quota: { bytes: LARGEST_FILE, files: 10 },
    accepted: new Set(KNOWN_TYPES),
  });
  const reading = createReadFiles({ ...stores, pictures, clearing, clock });
  return { clock, stores, clearing, storing, reading, calls: () => calls };
}

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

async function storeOne({ storing }: ReturnType<typeof worldThatDiesAt>, owner: Owner, bytes: Buffer) {
  const file = await storing.open(owner, bytes.byteLength);
  const filled = await storing.fill(file, { name: 'a.txt', mime: 'text/plain', type: 'file', chunks: once(bytes) });
  await storing.publish(filled, { sessionId: null });
  return filled;
}

/** What there is of a user's files, after all clearing that time brings about. */
async function remains(owner: Owner) {
  const world = worldThatDiesAt(Infinity);
  world.clock.advance(2 * HOUR_MS);
  await world.clearing.clearSome();
  world.clock.advance(2 * HOUR_MS);
  await world.clearing.clearSome();
  const db = mongo.db();
  const rows = await db
    .collection<{ erase_at?: Date; size: number }>('files')
    .find({ user_id: owner.userId })
    .toArray();
  const quota = await db
    .collection<{ _id: string; bytes: number; files: number }>('file_quotas')
    .findOne({ _id: owner.userId });
  return {
    published: rows.filter(({ erase_at }) => !erase_at).length,
    rows: rows.length,
    bytes: quota?.bytes ?? 0,
    files: quota?.files ?? 0,
  };
}
const everywhere = async () => {
  const db = mongo.db();
  const count = (name: string) => db.collection(name).countDocuments();
  return {
    blobs: await count('file_blobs'),
    stored: await count('file_bytes.files'),
    chunks: await count('file_bytes.chunks'),
  };
};
const person = (): Owner => ({ userId: newUserId() as UserId });
const MANY = 12;

describe('a process that dies', () => {
  const bytes = Buffer.from('the same words '.repeat(100));

  it.each(Array.from({ length: MANY }, (_, at) => at + 1))(
    'at step %i of an upload leaves all of the file or nothing',
    async (nth) => {
      const owner = person();
      const before = await everywhere();
      await storeOne(worldThatDiesAt(nth), owner, bytes).catch(() => undefined);
      const left = await remains(owner);
      expect(left).toEqual({
        published: left.published,
        rows: left.published,
        bytes: left.published * bytes.byteLength,
        files: left.published,
      });
      const expected = {
        blobs: before.blobs + left.published,
        stored: before.stored + left.published,
        chunks: before.chunks + left.published,
      };
      expect(await everywhere()).toEqual(expected);
    },
  );

  it.each(Array.from({ length: MANY }, (_, at) => at + 1))(
    'at step %i of a second upload or a deletion spares the twin',
    async (nth) => {
      const owner = person();
      const before = await everywhere();
      const twin = await storeOne(worldThatDiesAt(Infinity), owner, bytes);
      await storeOne(worldThatDiesAt(nth), owner, bytes).catch(() => undefined);
      const { published } = await remains(owner);
      const another = await storeOne(worldThatDiesAt(Infinity), owner, bytes);
      await worldThatDiesAt(nth)
        .reading.remove(owner, another.id)
        .catch(() => undefined);
      const left = await remains(owner);
      expect(left.rows).toBe(left.published);
      expect([published, published + 1]).toContain(left.published);
      expect(left.bytes).toBe(left.published * bytes.byteLength);
      expect(await everywhere()).toEqual({
        blobs: before.blobs + 1,
        stored: before.stored + 1,
        chunks: before.chunks + 1,
      });
      const { reading } = worldThatDiesAt(Infinity);
      const pieces: Uint8Array[] = [];
      for await (const piece of reading.bytes(await reading.find(owner, twin.id))) pieces.push(piece);
      expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
    },
  );

  it('has more steps to die at than are tried here', async () => {
    const world = worldThatDiesAt(Infinity);
    await storeOne(world, person(), bytes);
    expect(world.calls()).toBeLessThan(MANY);
  });
});

describe('the files of a question', () => {
  const upload = (text: string): CheckedUpload => {
    const bytes = Buffer.from(text);
    return { type: 'file', name: 'a.txt', mime: 'text/plain', bytes, sizeBytes: bytes.byteLength, dataUrl: '' };
  };
  const sessionId = () => randomUUID() as SessionId;

  it('are left out when they cannot be stored, and the answer goes on', async () => {
    const world = worldThatDiesAt(Infinity);
    const told: string[] = [];
    const failing = { ...world.storing, fill: async () => Promise.reject(new Error('the disk is full')) };
    const deps = { files: world.stores.files, storing: failing, tell: (name: string) => void told.push(name) };
    const kept = await keepFiles(deps, {
      owner: person(),
      sessionId: sessionId(),
      uploads: [upload('a'), upload('b')],
    });
    expect(await kept.bindTo(randomUUID())).toEqual([]);
    expect(told).toEqual(['file_not_kept', 'file_not_kept']);
  });

  it('are bound once, however often that is repeated', async () => {
    const world = worldThatDiesAt(Infinity);
    const owner = person();
    const deps = { files: world.stores.files, storing: world.storing, tell: () => undefined };
    const [session, message] = [sessionId(), randomUUID()];
    const kept = await keepFiles(deps, { owner, sessionId: session, uploads: [upload('a'), upload('b')] });
    const [first, again] = [await kept.bindTo(message), await kept.bindTo(message)];
    expect(again).toEqual(first);
    expect(await world.stores.files.list(owner, { messageId: message })).toHaveLength(2);
    expect(await remains(owner)).toEqual({ published: 2, rows: 2, bytes: 2, files: 2 });
  });

  it('do not come back when their conversation was deleted while it answered', async () => {
    const world = worldThatDiesAt(Infinity);
    const owner = person();
    const before = await everywhere();
    const deps = { files: world.stores.files, storing: world.storing, tell: () => undefined };
    const session = sessionId();
    const kept = await keepFiles(deps, { owner, sessionId: session, uploads: [upload('gone')] });
    await world.stores.files.forgetOf(
      [{ id: session, userId: owner.userId, upstreamMemoryId: '' }],
      new Date(world.clock.now()),
    );
    await world.clearing.clearSome();
    expect(await kept.bindTo(randomUUID())).toEqual([]);
    expect(await remains(owner)).toEqual({ published: 0, rows: 0, bytes: 0, files: 0 });
    expect(await everywhere()).toEqual(before);
  });

  it('go with their owner, whether or not they came into a conversation', async () => {
    const world = worldThatDiesAt(Infinity);
    const [owner, other] = [person(), person()];
    const before = await everywhere();
    for (const workspaceId of ['default', 'w2']) await storeOne(world, { ...owner, workspaceId }, Buffer.from('mine'));
    const spared = await storeOne(world, other, Buffer.from('mine'));
    await world.stores.files.forgetUser(owner.userId, new Date(world.clock.now()));
    expect(await remains(owner)).toEqual({ published: 0, rows: 0, bytes: 0, files: 0 });
    expect(await remains(other)).toEqual({ published: 1, rows: 1, bytes: 4, files: 1 });
    await world.reading.remove(other, spared.id);
    expect(await everywhere()).toEqual(before);
  });
});
