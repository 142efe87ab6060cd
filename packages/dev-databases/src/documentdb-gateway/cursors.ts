import { CommandError } from './errors.ts';
import { asInteger } from './fields.ts';
import type { Request } from './request.ts';
import type { Runner, Statement } from './store.ts';

/** MongoDB's cursorTimeoutMillis. */
const IDLE_LIMIT_MS = 600_000;
const SWEEP_MS = 30_000;
const CURSORS_KEPT = 5_000;

const FIRST_PAGE = {
  find: firstPage('find'),
  aggregate: firstPage('aggregate'),
  listIndexes: firstPage('list_indexes'),
  listCollections: firstPage('list_collections'),
};

function firstPage(name: string): Statement {
  return {
    name: `first-page-${name}`,
    text: `SELECT cursorpage::bytea AS page, continuation::bytea AS continuation, cursorid AS id
      FROM documentdb_api.${name}_cursor_first_page($1, $2::documentdb_core.bson)`,
  };
}

const NEXT_PAGE = {
  name: 'next-page',
  text: `SELECT cursorpage::bytea AS page, continuation::bytea AS continuation
    FROM documentdb_api.cursor_get_more($1, $2::documentdb_core.bson, $3::documentdb_core.bson)`,
};

const DROP = { name: 'drop-cursors', text: 'SELECT documentdb_api_internal.delete_cursors($1::bigint[])' };

type Page = { page: Buffer; continuation: Buffer | null };

type Cursor = {
  database: string;
  /** Where the extension goes on; large results wait in a file of the server, so no connection is held. */
  continuation: Buffer;
  connections: Set<number>;
  lastUsed: number;
};

export type Cursors = {
  /** Cursors with pages left. */
  readonly size: number;
  open(request: Request, connection: number, runner: Runner): Promise<Buffer>;
  next(request: Request, connection: number, runner: Runner): Promise<Buffer>;
  /** @returns the ids that were open. */
  kill(ids: bigint[]): Promise<bigint[]>;
  /** Drops cursors that only this connection used: its driver is gone. */
  forgetConnection(connection: number): Promise<void>;
  close(): void;
};

export function createCursors(store: Runner): Cursors {
  const cursors = new Map<bigint, Cursor>();

  const keep = (id: bigint, cursor: Cursor, connection: number): void => {
    cursor.connections.add(connection);
    cursor.lastUsed = performance.now();
    cursors.delete(id);
    cursors.set(id, cursor);
    const [oldest] = cursors.keys();
    if (cursors.size > CURSORS_KEPT && oldest !== undefined) void kill([oldest]).catch(() => undefined);
  };

  const kill = async (ids: bigint[]): Promise<bigint[]> => {
    const open = ids.filter((id) => cursors.delete(id));
    if (open.length > 0) await store.query(DROP, [open.map(String)]);
    return open;
  };

  const sweep = setInterval(() => {
    const limit = performance.now() - IDLE_LIMIT_MS;
    void kill([...cursors].filter(([, cursor]) => cursor.lastUsed < limit).map(([id]) => id)).catch(() => undefined);
  }, SWEEP_MS);

  return {
    get size() {
      return cursors.size;
    },
    open: async (request, connection, runner) => {
      const statement = FIRST_PAGE[request.name as keyof typeof FIRST_PAGE];
      const [row] = await runner.query<Page & { id: string }>(statement, [request.database, request.message.body]);
      if (!row) throw new Error(`${request.name} answered nothing`);
      const { page, continuation, id } = row;
      const cursor = { database: request.database, connections: new Set<number>(), lastUsed: 0 };
      if (continuation) keep(BigInt(id), { ...cursor, continuation }, connection);
      return page;
    },
    next: async (request, connection, runner) => {
      const id = asInteger(request.fields.get('getMore')) ?? 0n;
      const cursor = cursors.get(id);
      if (!cursor) throw new CommandError('CursorNotFound', `cursor id ${id} not found`);
      const [row] = await runner.query<Page>(NEXT_PAGE, [cursor.database, request.message.body, cursor.continuation]);
      if (!row) throw new Error('getMore answered nothing');
      if (!row.continuation) cursors.delete(id);
      else if (cursors.has(id)) keep(id, { ...cursor, continuation: row.continuation }, connection);
      return row.page;
    },
    kill,
    forgetConnection: async (connection) => {
      const left = [...cursors].filter(
        ([, { connections }]) => connections.delete(connection) && connections.size === 0,
      );
      await kill(left.map(([id]) => id));
    },
    close: () => clearInterval(sweep),
  };
}
