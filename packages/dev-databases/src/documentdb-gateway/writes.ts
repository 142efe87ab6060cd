import { deserialize, serialize } from 'bson';
import type { Document } from 'bson';
import pg from 'pg';

import { duplicateKey } from './catalog.ts';
import type { Context, Handler } from './context.ts';
import { CODES, codeOf, CommandError, unpackState } from './errors.ts';
import { fieldsOf, isTrue } from './fields.ts';
import { statementsOf } from './request.ts';
import type { Reply, Request } from './request.ts';
import type { Statement } from './store.ts';
import type { WriteKind } from './write-locks.ts';

type Written = { result: Buffer; success: boolean };

type Write = { statement: Statement; values: unknown[]; kind: WriteKind };

const SEQUENCES = { insert: 'documents', update: 'updates', delete: 'deletes' } as const;

const writeStatement = (name: keyof typeof SEQUENCES): Statement => ({
  name,
  text: `SELECT p_result::bytea AS result, p_success AS success
    FROM documentdb_api.${name}($1, $2::documentdb_core.bson, $3::documentdb_core.bsonsequence)`,
});

const FIND_AND_MODIFY = {
  name: 'findAndModify',
  text: `SELECT p_result::bytea AS result, p_success AS success
    FROM documentdb_api.find_and_modify($1, $2::documentdb_core.bson)`,
};

export const insert: Handler = (request, context) =>
  writeMany(request, context, 'insert', { mayInsert: true, isUpsert: false });

export const update: Handler = (request, context) => {
  const isUpsert = statementsOf(request, 'updates').some((statement) => isTrue(fieldsOf(statement).get('upsert')));
  return writeMany(request, context, 'update', { mayInsert: true, isUpsert });
};

export const remove: Handler = (request, context) =>
  writeMany(request, context, 'delete', { mayInsert: false, isUpsert: false });

export const findAndModify: Handler = async (request, context) => {
  const isUpsert = isTrue(request.fields.get('upsert'));
  const kind = { mayInsert: !isTrue(request.fields.get('remove')), isUpsert };
  try {
    const values = [request.database, request.message.body];
    const { result } = await write(request, context, { statement: FIND_AND_MODIFY, values, kind });
    return { document: result };
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || codeOf(error.code ?? '') !== CODES.DuplicateKey) throw error;
    const index = error.constraint ?? '';
    throw new CommandError(
      'DuplicateKey',
      ...(await duplicateKey(request, context.gateway.catalog, { constraint: index })),
    );
  }
};

async function writeMany(
  request: Request,
  context: Context,
  name: keyof typeof SEQUENCES,
  kind: WriteKind,
): Promise<Reply> {
  const sequence = request.message.sequences.get(SEQUENCES[name]) ?? null;
  const values = [request.database, request.message.body, sequence];
  const { result, success } = await write(request, context, { statement: STATEMENTS[name], values, kind });
  return success ? { document: result } : explainWriteErrors(request, context, deserialize(result));
}

const STATEMENTS = {
  insert: writeStatement('insert'),
  update: writeStatement('update'),
  delete: writeStatement('delete'),
};

async function write(request: Request, context: Context, { statement, values, kind }: Write): Promise<Written> {
  const act = async () => {
    const [row] = await context.runner.query<Written>(statement, values);
    if (!row) throw new Error(`${statement.name} answered nothing`);
    return row;
  };
  // A transaction must not wait here: the one it waits for may wait for a row that this transaction has locked.
  if (request.session?.isTransaction) return act();
  return context.gateway.writeLocks.run(request, kind, act);
}

/** @throws CommandError when a statement of a transaction lost against another one: then the whole transaction has. */
async function explainWriteErrors(request: Request, context: Context, result: Document): Promise<Reply> {
  const errors: Document[] = [];
  for (const error of (result['writeErrors'] ?? []) as { index: number; code: number; errmsg: string }[]) {
    const code = codeOf(unpackState(error.code));
    if (code === CODES.WriteConflict) throw new CommandError('WriteConflict', error.errmsg);
    errors.push({ ...error, code, ...(await duplicateDetails(request, context, code, error)) });
  }
  return { document: serialize({ ...result, writeErrors: errors }), hasWriteErrors: true };
}

async function duplicateDetails(
  request: Request,
  context: Context,
  code: number,
  error: { index: number; errmsg: string },
): Promise<Document> {
  if (code !== CODES.DuplicateKey) return {};
  const index = /Index '(.+)'/.exec(error.errmsg)?.[1] ?? '_id_';
  const document = request.name === 'insert' ? statementsOf(request, 'documents')[error.index] : undefined;
  const [errmsg, details] = await duplicateKey(request, context.gateway.catalog, { name: index, document });
  return { errmsg, ...details };
}
