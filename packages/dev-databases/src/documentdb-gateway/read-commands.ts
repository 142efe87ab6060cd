import { Long, serialize } from 'bson';

import type { Handler } from './context.ts';
import { asInteger, itemsOf } from './fields.ts';

/** find, aggregate, listIndexes and listCollections: the first page, and a cursor when there are more. */
export const openCursor: Handler = async (request, { gateway, connection, runner }) => ({
  document: await gateway.cursors.open(request, connection, runner),
});

export const getMore: Handler = async (request, { gateway, connection, runner }) => ({
  document: await gateway.cursors.next(request, connection, runner),
});

export const killCursors: Handler = async (request, { gateway }) => {
  const ids = itemsOf(request.fields.get('cursors')).map((field) => asInteger(field) ?? 0n);
  const killed = await gateway.cursors.kill(ids);
  const long = (id: bigint) => Long.fromBigInt(id);
  const cursorsNotFound = ids.filter((id) => !killed.includes(id)).map(long);
  const answer = { cursorsKilled: killed.map(long), cursorsNotFound, cursorsAlive: [], cursorsUnknown: [], ok: 1 };
  return { document: serialize(answer) };
};
