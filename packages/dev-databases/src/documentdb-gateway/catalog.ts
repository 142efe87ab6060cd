import { deserialize, EJSON } from 'bson';
import type { Document } from 'bson';

import type { Runner } from './store.ts';

/** A collection in a database. */
export type Namespace = { database: string; collection: string };

export type UniqueIndex = { id: number; name: string; key: Document };

export type Catalog = {
  /** Unique indexes of a collection besides `_id_`. */
  uniqueIndexes(database: string, collection: string): Promise<UniqueIndex[]>;
  /** To be called after anything that makes or drops indexes or collections. */
  forget(): void;
};

const UNIQUE_INDEXES = {
  name: 'unique-indexes',
  text: `SELECT i.index_id AS id, (i.index_spec).index_name AS name, (i.index_spec).index_key::bytea AS key
    FROM documentdb_api_catalog.collection_indexes i
    JOIN documentdb_api_catalog.collections c USING (collection_id)
    WHERE c.database_name = $1 AND c.collection_name = $2 AND (i.index_spec).index_is_unique`,
};

/** Remembers the unique indexes: every change of them passes through this gateway. */
export function createCatalog(runner: Runner): Catalog {
  let known = new Map<string, Promise<UniqueIndex[]>>();
  const read = async (database: string, collection: string): Promise<UniqueIndex[]> => {
    const rows = await runner.query<{ id: number; name: string; key: Buffer }>(UNIQUE_INDEXES, [database, collection]);
    return rows.map(({ id, name, key }) => ({ id, name, key: deserialize(key) }));
  };
  return {
    uniqueIndexes: (database, collection) => {
      const namespace = `${database}.${collection}`;
      const found = known.get(namespace) ?? read(database, collection);
      const current = known;
      current.set(namespace, found);
      found.catch(() => current.delete(namespace));
      return found;
    },
    // A reading under way ends in the map that nobody looks at any more.
    forget: () => {
      known = new Map();
    },
  };
}

/** What is known about the index a write ran into. */
type Clue = {
  /** Its name in MongoDB. */
  name?: string;
  /** Its name in PostgreSQL: documents_rum_index_<id>, or something else for the primary key. */
  constraint?: string;
  /** The document that did not fit, when the command held it whole. */
  document?: Buffer | undefined;
};

/** @returns message and details as MongoDB words them, so that callers can tell which field was taken. */
export async function duplicateKey(namespace: Namespace, catalog: Catalog, clue: Clue): Promise<[string, Document]> {
  const { database, collection } = namespace;
  const id = /_index_(\d+)$/.exec(clue.constraint ?? '')?.[1];
  const indexes = await catalog.uniqueIndexes(database, collection);
  const found = indexes.find((index) => index.name === clue.name || String(index.id) === id);
  const { name, key: keyPattern } = found ?? { name: '_id_', key: { _id: 1 } };
  const keyValue = clue.document && valuesAt(deserialize(clue.document), Object.keys(keyPattern));
  const value = keyValue ? ` dup key: ${EJSON.stringify(keyValue)}` : '';
  const message = `E11000 duplicate key error collection: ${database}.${collection} index: ${name}${value}`;
  return [message, { keyPattern, ...(keyValue && { keyValue }) }];
}

/** Values at dotted paths; null where a document has none, as the index sees it. */
function valuesAt(document: Document, paths: string[]): Document {
  const at = (path: string) =>
    path.split('.').reduce<unknown>((value, name) => (value as Document | null)?.[name], document);
  return Object.fromEntries(paths.map((path) => [path, at(path) ?? null]));
}
