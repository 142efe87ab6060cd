import type { Migration } from '@tollgate/mongo-kit';
import { accountsAndSessions } from './migrations/0001-accounts-and-sessions.ts';
import { challenges } from './migrations/0002-challenges.ts';
import { apiKeys } from './migrations/0006-api-keys.ts';
import { audit } from './migrations/0007-audit.ts';
import { mailPrecedence } from './migrations/0008-mail-precedence.ts';
import { endedAccess } from './migrations/0009-ended-access.ts';
import { revocations } from './migrations/0003-revocations.ts';
import { workspaces } from './migrations/0005-workspaces.ts';

/** Used when MONGODB_URI names no database. */
export const DATABASE = 'tollgate_auth';
/** The history of the schema, oldest step first. */
export const MIGRATIONS: readonly Migration[] = [
  accountsAndSessions,
  challenges,
  revocations,
  workspaces,
  apiKeys,
  audit,
  mailPrecedence,
  endedAccess,
];
