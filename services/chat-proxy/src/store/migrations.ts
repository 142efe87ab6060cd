import type { Migration } from '@tollgate/mongo-kit';
import { firstCollections } from './migrations/0001-first-collections.ts';
import { files } from './migrations/0004-files.ts';
import { workspaces } from './migrations/0002-workspaces.ts';

/** Used when MONGODB_URI names no database. */
export const DATABASE = 'tollgate_chat';
/** The history of the schema, oldest step first. */
export const MIGRATIONS: readonly Migration[] = [firstCollections, workspaces, files];
