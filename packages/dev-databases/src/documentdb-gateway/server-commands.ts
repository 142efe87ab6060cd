import { ObjectId, serialize, UUID } from 'bson';
import type { Document } from 'bson';

import { REPLICA_SET } from '../dev-database.ts';
import type { Handler } from './context.ts';
import { CommandError } from './errors.ts';
import { asInteger, isTrue, itemsOf } from './fields.ts';
import { idOf } from './request.ts';
import type { Reply, Request } from './request.ts';
import { MAX_MESSAGE_BYTES } from './wire.ts';

/** MongoDB 7.0: has what current drivers ask for and lacks the bulkWrite command of 8.0. */
const WIRE_VERSION = 21;
const VERSION = '7.0.0';
const MAX_DOCUMENT_BYTES = 16_777_216;
/** The extension takes no more statements in one command. */
const MAX_BATCH = 25_000;
const SESSION_MINUTES = 30;

const electionId = new ObjectId();

/**
 * Presents a replica set of one, so that drivers use sessions, transactions and retryable writes. Without a
 * topologyVersion drivers ask again from time to time instead of waiting for an answer that never changes.
 */
export const hello: Handler = async (_, { gateway, connection }) =>
  reply({
    helloOk: true,
    isWritablePrimary: true,
    ismaster: true,
    secondary: false,
    setName: REPLICA_SET,
    setVersion: 1,
    electionId,
    hosts: [gateway.address],
    primary: gateway.address,
    me: gateway.address,
    maxBsonObjectSize: MAX_DOCUMENT_BYTES,
    maxMessageSizeBytes: MAX_MESSAGE_BYTES,
    maxWriteBatchSize: MAX_BATCH,
    localTime: new Date(),
    logicalSessionTimeoutMinutes: SESSION_MINUTES,
    connectionId: connection,
    minWireVersion: 0,
    maxWireVersion: WIRE_VERSION,
    readOnly: false,
  });

export const ping: Handler = async () => reply({});

export const buildInfo: Handler = async (_, { gateway }) =>
  reply({
    version: VERSION,
    versionArray: [...VERSION.split('.').map(Number), 0],
    gitVersion: `DocumentDB ${gateway.version}, a development double of MongoDB`,
    modules: [],
    bits: 64,
    maxBsonObjectSize: MAX_DOCUMENT_BYTES,
  });

export const serverStatus: Handler = async (_, { gateway }) =>
  reply({
    host: gateway.address,
    version: VERSION,
    process: 'documentdb-gateway',
    pid: process.pid,
    uptime: Math.floor(process.uptime()),
    localTime: new Date(),
    metrics: { ttl: { passes: gateway.expiry.passes }, cursor: { open: { total: gateway.cursors.size } } },
  });

export const connectionStatus: Handler = async () =>
  reply({ authInfo: { authenticatedUsers: [], authenticatedUserRoles: [] } });

export const replSetGetStatus: Handler = async (_, { gateway }) =>
  reply({
    set: REPLICA_SET,
    myState: 1,
    members: [{ _id: 0, name: gateway.address, health: 1, state: 1, stateStr: 'PRIMARY', self: true }],
  });

export const getParameter: Handler = async () => reply({ featureCompatibilityVersion: { version: '7.0' } });

/** The two parameters of MongoDB's TTL monitor, which tests use to expire documents on demand. */
export const setParameter: Handler = async (request, { gateway }) => {
  const enabled = request.fields.get('ttlMonitorEnabled');
  const sleepSeconds = asInteger(request.fields.get('ttlMonitorSleepSecs'));
  if (!enabled && sleepSeconds === undefined) throw new CommandError('InvalidOptions', 'Unknown parameter');
  gateway.expiry.set({
    ...(enabled && { enabled: isTrue(enabled) }),
    ...(sleepSeconds !== undefined && { sleepSeconds: Math.max(Number(sleepSeconds), 1) }),
  });
  return reply({});
};

export const startSession: Handler = async () => reply({ id: { id: new UUID() }, timeoutMinutes: SESSION_MINUTES });

export const endSessions: Handler = async (request, { gateway }) => {
  const ids = itemsOf(request.fields.get(request.name)).flatMap((field) => idOf(field) ?? []);
  await gateway.sessions.end(ids);
  gateway.retries.forget(ids);
  return reply({});
};

export const refreshSessions: Handler = async () => reply({});

export const commitTransaction: Handler = async (request, { gateway }) => {
  await gateway.sessions.commit(transactionOf(request));
  // It may have made or dropped indexes that nobody else could see until now.
  gateway.catalog.forget();
  return reply({});
};

export const abortTransaction: Handler = async (request, { gateway }) => {
  await gateway.sessions.abort(transactionOf(request));
  return reply({});
};

/** Shells ask for these on their way in. */
export const getLog: Handler = async () => reply({ totalLinesWritten: 0, log: [] });
export const getCmdLineOpts: Handler = async () => reply({ argv: [], parsed: {} });

function transactionOf(request: Request) {
  if (!request.session?.isTransaction) throw new CommandError('InvalidOptions', `${request.name} needs a transaction`);
  return request.session;
}

const reply = (document: Document): Reply => ({ document: serialize({ ...document, ok: 1 }) });
