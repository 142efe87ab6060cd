import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach } from '@jest/globals';
import { MongoClient, UUID } from 'mongodb';
import type { Collection, Db, Document } from 'mongodb';

import { startMongo } from '../src/index.ts';

/** The first run on a machine may have to fetch an engine. */
const INSTALL_MS = 300_000;

export type Doc = Document & { _id?: string | number };

export type Subject = { url: string; client: MongoClient; db: Db; things: Collection<Doc> };

/** Whatever MongoDB this machine can have, with a database of its own for each test. */
export function useMongo(): Subject {
  const subject = {} as Subject;
  let folder: string;
  let stop: (() => Promise<void>) | undefined;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tollgate-mongo-'));
    const database = await startMongo({ dataDir: folder, durable: false, env: process.env });
    ({ stop } = database);
    subject.url = database.url;
    subject.client = await new MongoClient(database.url, { maxPoolSize: 100 }).connect();
  }, INSTALL_MS);

  beforeEach(() => {
    subject.db = subject.client.db(`conformance-${new UUID().toHexString(false)}`);
    subject.things = subject.db.collection('things');
  });

  afterAll(async () => {
    await subject.client?.close();
    await stop?.();
    await rm(folder, { recursive: true, force: true });
  });
  return subject;
}

/** Documents with the numbers from 0 as `_id`. */
export const numbered = (count: number, make: (n: number) => Document = () => ({})): Doc[] =>
  Array.from({ length: count }, (_, n) => ({ _id: n, ...make(n) }));
