import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { mongoDatabaseUrl, startChaosProxy } from '@tollgate/test-kit';
import { mongo as driver, Schema } from 'mongoose';
import { isDuplicate, type Mongo, type MongoOptions, openMongo, troubleOf, unlessDuplicate } from '../src/index.ts';

const opened: Mongo[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((mongo) => mongo.close()));
});

function open(options: Partial<MongoOptions> = {}): Mongo {
  const mongo = openMongo({ url: mongoDatabaseUrl(), defaultDatabase: 'unused', ...options });
  opened.push(mongo);
  return mongo;
}

interface Watcher {
  readonly connection: Record<'command' | 'exhaustCommand', () => unknown>;
}

/** As when a socket breaks while the question is being written: it is never answered, and never fails. */
function stopWatching(client: driver.MongoClient): void {
  const { topology } = client as unknown as { topology: { s: { servers: Map<string, { monitor: Watcher }> } } };
  const never = (): Promise<never> => new Promise(() => undefined);
  for (const { monitor } of topology.s.servers.values())
    Object.assign(monitor.connection, { command: never, exhaustCommand: never });
}

const refusalOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no refusal',
    (error: unknown) => error,
  );

describe('a connection', () => {
  it('uses the database of its URL, or else the default one', async () => {
    const url = new URL(mongoDatabaseUrl());
    const named = open({ url: url.href });
    const unnamed = open({ url: url.origin === 'null' ? `mongodb://${url.host}/${url.search}` : url.origin });
    await Promise.all([named.connected, unnamed.connected]);
    expect([named.db().databaseName, unnamed.db().databaseName]).toEqual([url.pathname.slice(1), 'unused']);
  });

  it('to a database that is away fails at once, is told about, and comes about when the database is there', async () => {
    const url = new URL(mongoDatabaseUrl());
    const between = await startChaosProxy({ target: Number(url.port) });
    await between.refuse(true);
    const fault = Promise.withResolvers<unknown>();
    const mongo = open({ url: `mongodb://127.0.0.1:${between.port}/back${url.search}`, onFault: fault.resolve });
    const model = mongo.connection.model('Thing', new Schema({ name: String }));
    const refusals = await Promise.all(
      [mongo.ping(), model.findOne()].map(async (work) => refusalOf(Promise.resolve(work))),
    );
    expect(refusals.map(troubleOf)).toEqual(['unavailable', 'unavailable']);
    expect(() => mongo.collection('things')).toThrow('not connected');
    expect(troubleOf(await fault.promise)).toBe('unavailable');
    await between.refuse(false);
    await mongo.connected;
    await expect(mongo.ping()).resolves.toBeUndefined();
    await mongo.close();
    await between.stop();
  });

  it('that a busy server is slow to open fails nobody who has time to wait', async () => {
    const between = await startChaosProxy({ target: Number(new URL(mongoDatabaseUrl()).port) });
    const url = new URL(mongoDatabaseUrl());
    url.host = `127.0.0.1:${between.port}`;
    url.searchParams.set('directConnection', 'true');
    const mongo = open({ url: url.href, operationTimeoutMs: 60_000 });
    await mongo.connected;
    // There and back longer than the driver may look for a server.
    between.latency(1100);
    const found = Array.from({ length: 5 }, () => mongo.collection('things').countDocuments());
    expect(await Promise.all(found)).toEqual([0, 0, 0, 0, 0]);
    await mongo.close();
    await between.stop();
  });

  it('is not lost for a clock that jumps, nor for a process that stood still', async () => {
    const mongo = open();
    const model = mongo.connection.model('Thing', new Schema({ name: String }));
    await mongo.connected;
    await once(mongo.connection.getClient(), 'serverHeartbeatSucceeded');
    const { now } = Date;
    Date.now = () => now() + 60_000;
    const found = [
      refusalOf(mongo.run(() => mongo.collection('things').countDocuments())),
      refusalOf(model.countDocuments().exec()),
    ];
    Date.now = now;
    expect(await Promise.all(found)).toEqual(['no refusal', 'no refusal']);
  });

  it('is opened anew when the driver has stopped asking for its server, for models and for plain collections', async () => {
    const faults: unknown[] = [];
    const mongo = open({ silentMs: 1500, onFault: (error) => faults.push(error) });
    const model = mongo.connection.model('Thing', new Schema({ name: String }));
    await mongo.connected;
    const client = mongo.connection.getClient();
    stopWatching(client);
    const { promise: reopened, resolve } = Promise.withResolvers<void>();
    mongo.connection.on('connected', () => resolve());
    await reopened;
    expect(mongo.connection.getClient()).not.toBe(client);
    expect(faults.map(String)).toEqual([expect.stringContaining('asked for its server')]);
    await Promise.all([mongo.ping(), model.create({ name: 'after' }), mongo.collection('things').findOne()]);
    expect(await mongo.collection('things').countDocuments()).toBe(1);
  });

  it('that is closed before it came about stops trying', async () => {
    const mongo = open({ url: 'mongodb://127.0.0.1:1/x' });
    await mongo.close();
    await mongo.connected;
    expect(troubleOf(await refusalOf(mongo.ping()))).toBe('unavailable');
  });
});

describe('an operation', () => {
  it('is given up after its time', async () => {
    const mongo = open({ operationTimeoutMs: 20 });
    const refusal = await refusalOf(mongo.run(() => new Promise<never>(() => undefined)));
    expect(refusal).toMatchObject({ name: 'TookTooLong', message: 'no answer in 20 ms' });
    expect(troubleOf(refusal)).toBe('unavailable');
  });

  it('that a unique index refuses is a duplicate, and no trouble of the database', async () => {
    const mongo = open();
    await mongo.connected;
    const things = mongo.collection<{ _id: string }>('things');
    expect(await unlessDuplicate(things.insertOne({ _id: 'one' }))).toBe(true);
    expect(await unlessDuplicate(things.insertOne({ _id: 'one' }))).toBe(false);
    const refusal = await refusalOf(things.insertOne({ _id: 'one' }));
    expect([isDuplicate(refusal), troubleOf(refusal)]).toEqual([true, undefined]);
    await expect(unlessDuplicate(Promise.reject(new Error('else')))).rejects.toThrow('else');
    await mongo.db().dropDatabase();
  });

  it('that is one of many is in trouble as it would be alone', async () => {
    const client = new driver.MongoClient('mongodb://127.0.0.1:1', { serverSelectionTimeoutMS: 1 });
    const things = client.db('x').collection('things');
    const refusals = await Promise.all([things.insertOne({}), things.insertMany([{}, {}])].map(refusalOf));
    expect(refusals.map(troubleOf)).toEqual(['unavailable', 'unavailable']);
    await client.close();
  });

  it('with an operator in place of a value does not reach the database', async () => {
    const mongo = open();
    await mongo.connected;
    const model = mongo.connection.model('Thing', new Schema({ name: String }, { collection: 'things' }));
    await mongo.collection('things').insertOne({ name: 'secret' });
    const name = { $ne: null } as unknown as string;
    expect(await refusalOf(model.findOne({ name }).exec())).toMatchObject({ name: 'CastError' });
    await mongo.db().dropDatabase();
  });
});

/** As Node throws it, and the driver hands it on from `writeCommand` as it is. */
const socketError = (code: string): Error => Object.assign(new Error(`write ${code}`), { code, syscall: 'write' });

describe('the trouble of a database', () => {
  const labelled = new driver.MongoServerError({ message: 'not primary', code: 10_107 });
  labelled.addErrorLabel('RetryableWriteError');

  it.each([
    ['a full disk', new driver.MongoServerError({ message: 'no space', code: 14_031 }), 'full'],
    ['a primary that steps down', labelled, 'unavailable'],
    ['a broken connection', new driver.MongoNetworkError('reset'), 'unavailable'],
    ['a socket that breaks while it is written to', socketError('ECONNRESET'), 'unavailable'],
    ['a file that is not there', socketError('ENOENT'), undefined],
    ['a mistake in the query', new driver.MongoServerError({ message: 'bad operator', code: 2 }), undefined],
    ['a mistake in the program', new TypeError('x is not a function'), undefined],
    ['something that is no error', 'MongoNetworkError', undefined],
  ])('is told apart: %s', (_what, error, expected) => {
    expect(troubleOf(error)).toBe(expected);
  });
});
