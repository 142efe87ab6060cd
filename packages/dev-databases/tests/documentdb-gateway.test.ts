import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Long, UUID } from 'bson';
import type { Document } from 'bson';
import { MongoClient } from 'mongodb';
import type { Collection } from 'mongodb';

import { Unavailable } from '../src/dev-database.ts';
import { startDocumentDb } from '../src/documentdb.ts';
import { isRunning, until } from '../src/processes.ts';
import { connectRaw, legacyQueryOf, messageOf } from './raw-connection.ts';
import { expectAllEnd, startElsewhere } from './starter.ts';

const RELEASE_MS = 15_000;

// The gateway exists where DocumentDB can be installed only; elsewhere MongoDB itself does its work.
const folder = await mkdtemp(join(tmpdir(), 'tollgate-documentdb-'));
const database = await startDocumentDb({ dataDir: folder, durable: false, env: process.env }).catch(
  (error: unknown) => {
    if (error instanceof Unavailable) return undefined;
    throw error;
  },
);
const describeGateway = database ? describe : describe.skip;
const url = database?.url ?? 'mongodb://127.0.0.1:1';
const port = Number(new URL(url.replace('mongodb:', 'http:')).port);
const client = new MongoClient(url, { maxPoolSize: 100 });

type Doc = Document & { _id?: string | number };

let name: string;
let things: Collection<Doc>;

beforeEach(() => {
  name = `gateway-${new UUID().toHexString(false)}`;
  things = client.db(name).collection('things');
});

afterAll(async () => {
  await client.close();
  await database?.stop();
  await rm(folder, { recursive: true, force: true });
});

const openCursors = async (): Promise<number> =>
  (await client.db('admin').command({ serverStatus: 1 }))['metrics'].cursor.open.total;

describeGateway('the wire protocol', () => {
  it('understands a command that arrives byte by byte, and several that arrive at once', async () => {
    const raw = await connectRaw(port);
    for (const byte of messageOf({ ping: 1, $db: 'admin' })) raw.send(Buffer.from([byte]));
    expect(await raw.answer()).toEqual({ ok: 1 });
    raw.send(Buffer.concat([messageOf({ hello: 1, $db: 'admin' }), messageOf({ ping: 1, $db: 'admin' })]));
    expect(await raw.answer()).toMatchObject({ isWritablePrimary: true });
    expect(await raw.answer()).toEqual({ ok: 1 });
    raw.socket.destroy();
  });

  it('answers the legacy hello', async () => {
    const raw = await connectRaw(port);
    raw.send(legacyQueryOf({ ismaster: 1, helloOk: true }));
    expect(await raw.answer()).toMatchObject({ ismaster: true, helloOk: true, setName: 'tollgate' });
    raw.socket.destroy();
  });

  it('answers a hello that may wait at once, without a topology version to wait for', async () => {
    const raw = await connectRaw(port);
    const topologyVersion = { processId: new UUID(), counter: Long.fromNumber(0) };
    const answer = await raw.command({ hello: 1, topologyVersion, maxAwaitTimeMS: 10_000, $db: 'admin' });
    expect(answer).not.toHaveProperty('topologyVersion');
    raw.socket.destroy();
  });

  it('ends a connection that speaks something else, and only that one', async () => {
    const [good, http, huge, odd] = await Promise.all([1, 2, 3, 4].map(() => connectRaw(port)));
    http?.send(Buffer.from('GET / HTTP/1.1\r\nHost: example.test\r\n\r\n'));
    huge?.send(Buffer.from([0xff, 0xff, 0xff, 0x7f, ...Array(12).fill(0)]));
    odd?.send(
      Buffer.concat([Buffer.from([26, 0, 0, 0]), Buffer.alloc(8), Buffer.from([0xdd, 7, 0, 0]), Buffer.alloc(10, 9)]),
    );
    await Promise.all([http?.closed, huge?.closed, odd?.closed]);
    expect(await good?.command({ ping: 1, $db: 'admin' })).toEqual({ ok: 1 });
    good?.socket.destroy();
  });

  it('answers a malformed document with an error and goes on', async () => {
    const raw = await connectRaw(port);
    const broken = messageOf({ ping: 1, $db: 'admin' });
    broken[25] = 0x7e;
    raw.send(broken);
    expect(await raw.answer()).toMatchObject({ ok: 0, code: 9 });
    expect(await raw.command({ ping: 1, $db: 'admin' })).toEqual({ ok: 1 });
    raw.socket.destroy();
  });

  it('applies an unacknowledged write and stays silent', async () => {
    const raw = await connectRaw(port);
    raw.send(messageOf({ insert: 'things', documents: [{ _id: 1 }], $db: name }, true));
    expect(await raw.command({ count: 'things', $db: name })).toEqual({ n: 1, ok: 1 });
    raw.socket.destroy();
  });
});

describeGateway('retryable writes', () => {
  const bump = (lsid: Document, txnNumber: number) => ({
    findAndModify: 'things',
    query: { _id: 1 },
    update: { $inc: { n: 1 } },
    new: true,
    $db: name,
    lsid,
    txnNumber: Long.fromNumber(txnNumber),
  });

  it('run once for the same session and number, also while the first is under way', async () => {
    await things.insertOne({ _id: 1, n: 0 });
    const lsid = { id: new UUID() };
    const connections = await Promise.all([connectRaw(port), connectRaw(port)]);
    const answers = await Promise.all(connections.map((raw) => raw.command(bump(lsid, 1))));
    expect(answers.map((answer) => answer['value'].n)).toEqual([1, 1]);
    expect(await connections[0].command(bump(lsid, 2))).toMatchObject({ value: { n: 2 } });
    expect(await connections[0].command(bump(lsid, 1))).toMatchObject({ code: 225 });
    for (const raw of connections) raw.socket.destroy();
  });

  it('are seen by everyone at once: a number alone makes no transaction', async () => {
    const raw = await connectRaw(port);
    const insert = {
      insert: 'things',
      documents: [{ _id: 1 }],
      $db: name,
      lsid: { id: new UUID() },
      txnNumber: Long.fromNumber(1),
    };
    await raw.command(insert);
    expect(await things.countDocuments()).toBe(1);
    expect(await raw.command({ ...insert })).toEqual({ n: 1, ok: 1 });
    raw.socket.destroy();
  });
});

describeGateway('transactions', () => {
  const part = (lsid: Document, rest: Document) => ({
    ...rest,
    lsid,
    txnNumber: Long.fromNumber(1),
    autocommit: false,
  });

  it('are rolled back when the connection that used them closes', async () => {
    await things.insertOne({ _id: 1, n: 0 });
    const raw = await connectRaw(port);
    const update = {
      update: 'things',
      updates: [{ q: { _id: 1 }, u: { $inc: { n: 5 } } }],
      $db: name,
      startTransaction: true,
    };
    expect(await raw.command(part({ id: new UUID() }, update))).toMatchObject({ nModified: 1 });
    const waiting = things.updateOne({ _id: 1 }, { $inc: { n: 1 } });
    raw.socket.destroy();
    expect((await waiting).modifiedCount).toBe(1);
    expect(await things.findOne()).toEqual({ _id: 1, n: 1 });
  });

  it('may be committed twice, but not after they ended', async () => {
    const raw = await connectRaw(port);
    const lsid = { id: new UUID() };
    const insert = { insert: 'things', documents: [{ _id: 1 }], $db: name, startTransaction: true };
    const commit = part(lsid, { commitTransaction: 1, $db: 'admin' });
    await raw.command(part(lsid, insert));
    expect(await raw.command(commit)).toEqual({ ok: 1 });
    expect(await raw.command(commit)).toEqual({ ok: 1 });
    const other = { id: new UUID() };
    await raw.command(part(other, { ...insert, documents: [{ _id: 2 }] }));
    await raw.command({ endSessions: [other], $db: 'admin' });
    const late = await raw.command(part(other, { commitTransaction: 1, $db: 'admin' }));
    expect(late).toMatchObject({ code: 251, errorLabels: ['TransientTransactionError'] });
    expect(await things.find().toArray()).toEqual([{ _id: 1 }]);
    raw.socket.destroy();
  });
});

describeGateway('cursors', () => {
  it('are dropped when the connection that read them closes', async () => {
    await things.insertMany(Array.from({ length: 300 }, (_, n) => ({ _id: n })));
    const before = await openCursors();
    const raw = await connectRaw(port);
    for (const sort of [{ _id: -1 }, { n: 1 }]) await raw.command({ find: 'things', sort, batchSize: 10, $db: name });
    expect(await openCursors()).toBe(before + 2);
    raw.socket.destroy();
    await until(async () => (await openCursors()) === before || undefined, RELEASE_MS, 'Releasing the cursors');
  });
});

describeGateway('many clients', () => {
  it('wait their turn instead of failing when hundreds of commands come at once', async () => {
    const clients = await Promise.all([1, 2, 3].map(() => new MongoClient(url, { maxPoolSize: 100 }).connect()));
    await things.createIndex({ key: 1 }, { unique: true });
    const work = clients.flatMap((each, c) =>
      Array.from({ length: 150 }, async (_, n) => {
        const mine = each.db(name).collection<Doc>('things');
        await mine.insertOne({ _id: `${c}-${n}`, key: `${c}-${n}` });
        await mine.updateOne({ key: 'shared' }, { $inc: { n: 1 } }, { upsert: true });
        return mine.find({ _id: `${c}-${n}` }).toArray();
      }),
    );
    expect((await Promise.all(work)).flat()).toHaveLength(450);
    expect(await things.findOne({ key: 'shared' })).toMatchObject({ n: 450 });
    await Promise.all(clients.map((each) => each.close()));
  });

  it('get through while transactions of others stay open', async () => {
    await things.insertOne({ _id: 'before' });
    const sessions = Array.from({ length: 40 }, () => client.startSession());
    await Promise.all(
      sessions.map((session, n) => {
        session.startTransaction();
        return things.insertOne({ _id: n }, { session });
      }),
    );
    await things.insertOne({ _id: 'meanwhile' });
    expect(await things.countDocuments()).toBe(2);
    await Promise.all(sessions.map((session) => session.commitTransaction().then(() => session.endSession())));
    expect(await things.countDocuments()).toBe(42);
  });
});

describeGateway('the processes', () => {
  it('are taken over with their data after the process that started them was killed', async () => {
    const place = join(folder, 'killed');
    const killed = await startElsewhere('documentdb', place, 'durable');
    await write(killed.url);
    await killed.kill();
    expect(await Promise.all(killed.pids.map(isRunning))).not.toContain(false);
    const heir = await startDocumentDb({ dataDir: place, durable: true, env: process.env });
    await expectAllEnd(killed.pids, RELEASE_MS);
    expect(await read(heir.url)).toEqual([{ _id: 1 }]);
    await heir.stop();
    await expectAllEnd(heir.pids, RELEASE_MS);
  });

  it("end by themselves when they are a killed test run's", async () => {
    const killed = await startElsewhere('documentdb', join(folder, 'throwaway'), 'throwaway');
    await killed.kill();
    await expectAllEnd(killed.pids, RELEASE_MS);
  });
});

async function write(at: string): Promise<void> {
  const writer = new MongoClient(at);
  await writer.db('kept').collection<Doc>('things').insertOne({ _id: 1 });
  await writer.close();
}

async function read(at: string): Promise<Doc[]> {
  const reader = new MongoClient(at);
  const found = await reader.db('kept').collection<Doc>('things').find().toArray();
  await reader.close();
  return found;
}
