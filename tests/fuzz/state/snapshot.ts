import { createHash } from 'node:crypto';
import type { Platform } from '@tollgate/test-kit';
import { type Db, MongoClient } from 'mongodb';
import { LOOKED_AT, mayChange, OVERLOOKED } from './may-change.ts';

/** Every row of every table and every document of every collection, as its place and a hash of all it holds. */
export type Snapshot = ReadonlyMap<string, ReadonlyMap<string, string>>;

export interface StoredState {
  take(): Promise<Snapshot>;
  close(): Promise<void>;
}

/** Reads what the three services have stored, past all of them. */
export async function openState(platform: Platform): Promise<StoredState> {
  const clients = await Promise.all([
    databaseOf('auth', platform.environments.auth['MONGODB_URI']),
    databaseOf('chat-proxy', platform.environments.chatProxy['MONGODB_URI']),
  ]);
  const tables = await platform.books.query<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`,
    [],
  );
  return {
    async take() {
      const parts = await Promise.all([
        rowsOf(
          platform,
          tables.map(({ name }) => name),
        ),
        ...clients.map(({ name, database }) => documentsOf(name, database)),
      ]);
      return new Map(parts.flat());
    },
    close: async () => void (await Promise.all(clients.map(({ client }) => client.close()))),
  };
}

async function databaseOf(name: string, url = ''): Promise<{ name: string; client: MongoClient; database: Db }> {
  const client = await new MongoClient(url).connect();
  return { name, client, database: client.db() };
}

async function rowsOf({ books }: Platform, tables: readonly string[]): Promise<[string, Map<string, string>][]> {
  const each = tables.map((table) => {
    const columns = (OVERLOOKED[table] ?? []).map((column) => ` - '${column}'`).join('');
    return `SELECT '${table}' AS place, md5((to_jsonb(t)${columns})::text) AS hash FROM "${table}" t WHERE ${LOOKED_AT[table] ?? true}`;
  });
  const rows = await books.query<{ place: string; hash: string }>(each.join(' UNION ALL '), []);
  const byTable = Map.groupBy(rows, ({ place }) => place);
  return tables.map((table) => {
    const counts = new Map<string, number>();
    for (const { hash } of byTable.get(table) ?? []) counts.set(hash, (counts.get(hash) ?? 0) + 1);
    return [`accounting.${table}`, new Map([...counts].map(([hash, count]) => [hash, String(count)]))];
  });
}

async function documentsOf(service: string, database: Db): Promise<[string, Map<string, string>][]> {
  const collections = await database.listCollections({}, { nameOnly: true }).toArray();
  return Promise.all(
    collections.map(async ({ name }): Promise<[string, Map<string, string>]> => {
      const documents = await database
        .collection(name)
        .find({}, { promoteValues: false, promoteBuffers: true })
        .toArray();
      return [`${service}.${name}`, new Map(documents.map((found) => [String(found._id), hashOf(found)]))];
    }),
  );
}

const hashOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('base64url');

/** Where two states differ: `place: +added -removed ~changed`, but for what may. */
export function differences(before: Snapshot, after: Snapshot): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((place) => {
    const [then, now] = [before.get(place) ?? NOTHING, after.get(place) ?? NOTHING];
    const added = [...now.keys()].filter((key) => !then.has(key));
    const removed = [...then.keys()].filter((key) => !now.has(key));
    const changed = [...now].filter(([key, hash]) => then.has(key) && then.get(key) !== hash).map(([key]) => key);
    const counts = { added: added.length, removed: removed.length, changed: changed.length };
    if (added.length + removed.length + changed.length === 0 || mayChange(place, counts)) return [];
    const { added: plus, removed: minus, changed: other } = counts;
    return [`${place}: +${plus} -${minus} ~${other} ${[...added, ...changed].slice(0, 3).join(' ')}`];
  });
}
const NOTHING: ReadonlyMap<string, string> = new Map();
