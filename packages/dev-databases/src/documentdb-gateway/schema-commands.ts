import { deserialize, serialize } from 'bson';
import type { Document } from 'bson';
import pg from 'pg';

import { duplicateKey } from './catalog.ts';
import type { Context, Handler } from './context.ts';
import { CODES, codeOf, CommandError } from './errors.ts';
import type { Reply } from './request.ts';
import type { Statement } from './store.ts';

const BSON = '::documentdb_core.bson';

const call = (name: string, text: string): Statement => ({ name, text: `SELECT (${text})::bytea AS result` });

const CALLS = {
  count: call('count', `documentdb_api.count_query($1, $2${BSON})`),
  distinct: call('distinct', `documentdb_api.distinct_query($1, $2${BSON})`),
  create: call('create', `documentdb_api.create_collection_view($1, $2${BSON})`),
  createIndexes: call('createIndexes', `documentdb_api_internal.create_indexes_non_concurrently($1, $2${BSON}, true)`),
  validate: call('validate', `documentdb_api.validate($1, $2${BSON})`),
  listDatabases: call('listDatabases', `documentdb_api.list_databases($1${BSON})`),
  renameCollection: call('renameCollection', `documentdb_api.rename_collection($1${BSON})`),
  currentOp: call('currentOp', `documentdb_api.current_op_command($1${BSON})`),
  collMod: call('collMod', `documentdb_api.coll_mod($1, $2, $3${BSON})`),
  collStats: call('collStats', 'documentdb_api.coll_stats($1, $2)'),
  dbStats: call('dbStats', 'documentdb_api.db_stats($1)'),
};

const DROP = { name: 'drop', text: 'SELECT documentdb_api.drop_collection($1, $2) AS dropped' };
const DROP_DATABASE = { name: 'dropDatabase', text: 'SELECT documentdb_api.drop_database($1)' };
const DROP_INDEXES = { name: 'dropIndexes', text: `CALL documentdb_api.drop_indexes($1, $2${BSON})` };

/** Commands about one database whose answer needs no change. */
const inDatabase =
  (statement: Statement): Handler =>
  async (request, context) => ({
    document: await result(context, statement, [request.database, request.message.body]),
  });

const onServer =
  (statement: Statement): Handler =>
  async (request, context) => ({
    document: await result(context, statement, [request.message.body]),
  });

export const count = inDatabase(CALLS.count);
export const distinct = inDatabase(CALLS.distinct);
export const validate = inDatabase(CALLS.validate);
export const listDatabases = onServer(CALLS.listDatabases);
export const currentOp = onServer(CALLS.currentOp);

export const collStats: Handler = async (request, context) => ({
  document: await result(context, CALLS.collStats, [request.database, request.collection]),
});

export const dbStats: Handler = async (request, context) => ({
  document: await result(context, CALLS.dbStats, [request.database]),
});

export const create = changing(inDatabase(CALLS.create));
export const renameCollection = changing(onServer(CALLS.renameCollection));

export const collMod = changing(async (request, context) => {
  const values = [request.database, request.collection, request.message.body];
  return { document: await result(context, CALLS.collMod, values) };
});

export const createIndexes = changing(async (request, context) => {
  const values = [request.database, request.message.body];
  const answer = deserialize(await result(context, CALLS.createIndexes, values));
  // The extension answers like a router: one answer per shard.
  const { ok, ...rest } = (answer['raw'] as Document | undefined)?.['defaultShard'] ?? answer;
  return reply({ ...rest, ok: Number(ok) });
});

export const drop = changing(async (request, context) => {
  await context.runner.query(DROP, [request.database, request.collection]);
  return reply({ ns: `${request.database}.${request.collection}`, ok: 1 });
});

export const dropDatabase = changing(async (request, context) => {
  await context.runner.query(DROP_DATABASE, [request.database]);
  return reply({ dropped: request.database, ok: 1 });
});

export const dropIndexes = changing(async (request, context) => {
  await context.runner.query(DROP_INDEXES, [request.database, request.message.body]);
  return reply({ ok: 1 });
});

/** Commands that change collections or indexes: repeated on a conflict, and what is known of indexes is forgotten. */
function changing(handler: Handler): Handler {
  return async (request, context) => {
    const { catalog, writeLocks } = context.gateway;
    try {
      if (request.session?.isTransaction) return await handler(request, context);
      const kind = { mayInsert: false, isUpsert: true };
      return await writeLocks.run(request, kind, () => handler(request, context));
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || codeOf(error.code ?? '') !== CODES.DuplicateKey) throw error;
      throw new CommandError('DuplicateKey', ...(await duplicateKey(request, catalog, {})));
    } finally {
      catalog.forget();
    }
  };
}

async function result(context: Context, statement: Statement, values: unknown[]): Promise<Buffer> {
  const [row] = await context.runner.query<{ result: Buffer }>(statement, values);
  if (!row) throw new Error(`${statement.name} answered nothing`);
  return row.result;
}

const reply = (document: Document): Reply => ({ document: serialize(document) });
