import type { Query } from '../postgres.ts';

/** What the role of the service could do to the books beside calling the entrances; empty as it should be. */
export async function excessivePrivileges(query: Query): Promise<string[]> {
  const rows = await query<{ kind: string; what: string }>(
    'SELECT kind, what FROM ledger.excessive_privileges ORDER BY kind, what',
  );
  return rows.map(({ kind, what }) => `${kind} ${what}`);
}
