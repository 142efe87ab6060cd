import { serialize } from 'bson';

import type { Context, Gateway, Handler } from './context.ts';
import { CommandError, errorReply, toCommandError } from './errors.ts';
import { getMore, killCursors, openCursor } from './read-commands.ts';
import type { Reply, Request } from './request.ts';
import * as schema from './schema-commands.ts';
import * as server from './server-commands.ts';
import { findAndModify, insert, remove, update } from './writes.ts';

const HANDLERS: Record<string, Handler> = {
  hello: server.hello,
  isMaster: server.hello,
  ismaster: server.hello,
  ping: server.ping,
  buildInfo: server.buildInfo,
  buildinfo: server.buildInfo,
  serverStatus: server.serverStatus,
  connectionStatus: server.connectionStatus,
  replSetGetStatus: server.replSetGetStatus,
  getParameter: server.getParameter,
  setParameter: server.setParameter,
  startSession: server.startSession,
  endSessions: server.endSessions,
  killSessions: server.endSessions,
  refreshSessions: server.refreshSessions,
  getLog: server.getLog,
  getCmdLineOpts: server.getCmdLineOpts,
  commitTransaction: server.commitTransaction,
  abortTransaction: server.abortTransaction,
  insert,
  update,
  delete: remove,
  findAndModify,
  findandmodify: findAndModify,
  find: openCursor,
  aggregate: openCursor,
  listIndexes: openCursor,
  listCollections: openCursor,
  getMore,
  killCursors,
  count: schema.count,
  distinct: schema.distinct,
  create: schema.create,
  createIndexes: schema.createIndexes,
  drop: schema.drop,
  dropDatabase: schema.dropDatabase,
  dropIndexes: schema.dropIndexes,
  deleteIndexes: schema.dropIndexes,
  renameCollection: schema.renameCollection,
  collMod: schema.collMod,
  collStats: schema.collStats,
  dbStats: schema.dbStats,
  dbstats: schema.dbStats,
  listDatabases: schema.listDatabases,
  validate: schema.validate,
  currentOp: schema.currentOp,
};

/** These end a transaction instead of running in it. */
const ENDINGS = new Set(['commitTransaction', 'abortTransaction']);
const RETRYABLE = new Set(['insert', 'update', 'delete', 'findAndModify', 'findandmodify']);

/** Answers one command; whatever goes wrong becomes the error document MongoDB would send. */
export async function answer(request: Request, gateway: Gateway, connection: number): Promise<Uint8Array> {
  const isTransaction = request.session?.isTransaction ?? false;
  try {
    const handler = Object.hasOwn(HANDLERS, request.name) ? HANDLERS[request.name] : undefined;
    if (!handler) throw new CommandError('CommandNotFound', `no such command: '${request.name}'`);
    return (await dispatch(handler, request, { gateway, connection, runner: gateway.store })).document;
  } catch (error) {
    return serialize(errorReply(toCommandError(error, isTransaction), isTransaction));
  }
}

async function dispatch(handler: Handler, request: Request, context: Context): Promise<Reply> {
  const { session } = request;
  const { gateway, connection } = context;
  if (session?.isTransaction && !ENDINGS.has(request.name)) {
    return gateway.sessions.run(session, connection, (runner) => handler(request, { ...context, runner }));
  }
  if (session?.txnNumber !== undefined && RETRYABLE.has(request.name)) {
    return gateway.retries.once(session.id, session.txnNumber, () => handler(request, context));
  }
  return handler(request, context);
}
