import { MongoClient, MongoServerError } from 'mongodb';
import type { Db, Document } from 'mongodb';

import { REPLICA_SET } from './dev-database.ts';
import { until } from './processes.ts';

const ALREADY_INITIALIZED = 23;
const PRIMARY_TIMEOUT_MS = 30_000;

/**
 * Makes a mongod the only member of its replica set and waits until it takes writes; without one there are no
 * transactions.
 * @param member host:port under which the server reaches itself; a data folder may remember an older one.
 * @param signal gives up when the server is known to be gone.
 */
export async function openReplicaSet(url: string, member: string, signal?: AbortSignal): Promise<void> {
  const client = new MongoClient(url, { directConnection: true, serverSelectionTimeoutMS: PRIMARY_TIMEOUT_MS });
  signal?.addEventListener('abort', () => void client.close());
  try {
    const admin = client.db('admin');
    await makeMember(admin, member);
    const isPrimary = async () => (await admin.command({ hello: 1 }))['isWritablePrimary'] === true || undefined;
    await until(isPrimary, PRIMARY_TIMEOUT_MS, 'The election of the only MongoDB member');
  } finally {
    await client.close();
  }
}

async function makeMember(admin: Db, member: string): Promise<void> {
  try {
    await admin.command({ replSetInitiate: { _id: REPLICA_SET, members: [{ _id: 0, host: member }] } });
    return;
  } catch (error) {
    if (!(error instanceof MongoServerError) || error.code !== ALREADY_INITIALIZED) throw error;
  }
  const config: Document = (await admin.command({ replSetGetConfig: 1 }))['config'];
  if (config['members'][0].host === member) return;
  const members = [{ ...config['members'][0], host: member }];
  await admin.command({ replSetReconfig: { ...config, version: config['version'] + 1, members }, force: true });
}
