import { homedir } from 'node:os';
import { join } from 'node:path';

import type { Environment } from './dev-database.ts';

/** Where programs fetched once per machine are kept (XDG Base Directory Specification). */
export function cacheFolder(env: Environment): string {
  const base = env['XDG_CACHE_HOME'] || join(env['HOME'] ?? homedir(), '.cache');
  return join(base, 'tollgate');
}
