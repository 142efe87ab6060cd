import type { Migration } from '@tollgate/mongo-kit';
import { firstCollections } from './migrations/0001-first-collections.ts';
import { workspaces } from './migrations/0002-workspaces.ts';
import { library } from './migrations/0003-library.ts';
import { streams } from './migrations/0005-streams.ts';
import { files } from './migrations/0004-files.ts';
import { flowiseWindows } from './migrations/0007-flowise.ts';
import { strikes } from './migrations/0008-strikes.ts';
import { keptAnswers } from './migrations/0009-kept-answers.ts';
import { leanSessions } from './migrations/0010-lean-sessions.ts';

/** Used when MONGODB_URI names no database. */
export const DATABASE = 'tollgate_chat';
/** The history of the schema, oldest step first. */
export const MIGRATIONS: readonly Migration[] = [
  firstCollections,
  workspaces,
  library,
  files,
  streams,
  flowiseWindows,
  strikes,
  keptAnswers,
  leanSessions,
];
