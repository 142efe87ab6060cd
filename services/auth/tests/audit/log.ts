import { createLogger } from '@tollgate/telemetry';
import type { Clock } from '@tollgate/test-kit';
import { readAuthConfig } from '../../src/config.ts';
import { createDeps, type Deps } from '../../src/deps.ts';
import type { Auth } from '../auth.ts';

/** A stored line, as tests look at it and forge it. */
export type Row = Record<string, unknown> & { _id: string; seq: number; chain: string; hash: string };

/** Another instance of the service on the same database, without its own HTTP and rounds. */
export async function instanceOf(auth: Auth, clock?: Clock, env: Record<string, string> = {}): Promise<Deps> {
  const logger = createLogger({ service: 'auth', level: 'silent' });
  const deps = await createDeps(readAuthConfig({ ...auth.env, ...env }), { logger, ...(clock && { clock }) });
  await deps.connected;
  return deps;
}

export const rowsOf = (auth: Auth) => auth.db.collection<Row>('audit_log');
export const linesOf = (auth: Auth, chain = 'default'): Promise<Row[]> =>
  rowsOf(auth).find({ chain }).sort({ seq: 1 }).toArray();
