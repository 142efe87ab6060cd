import type { Members } from '../ports.ts';
import type { Query } from './postgres.ts';

/** Who belongs to which workspace, as auth told last. */
export const createMembers = (query: Query): Members => ({
  async newest(until) {
    const [row] = await query<{ newest: Date | null }>(
      'SELECT max(changed_at) AS newest FROM workspace_members WHERE changed_at <= $1',
      [until],
    );
    return row?.newest ?? undefined;
  },
  async takeOver(changes) {
    const rows = changes.map(({ workspaceId, userId, role, version, changedAt }) => ({
      workspace_id: workspaceId,
      user_id: userId,
      role,
      version,
      changed_at: changedAt,
    }));
    const taken = await query(
      `INSERT INTO workspace_members AS known (workspace_id, user_id, role, version, changed_at)
       SELECT DISTINCT ON (workspace_id, user_id) workspace_id, user_id, role, version, changed_at
       FROM jsonb_populate_recordset(NULL::workspace_members, $1) ORDER BY workspace_id, user_id, version DESC
       ON CONFLICT (workspace_id, user_id) DO UPDATE
         SET role = excluded.role, version = excluded.version, changed_at = excluded.changed_at
         WHERE known.version < excluded.version
       RETURNING workspace_id`,
      [JSON.stringify(rows)],
    );
    return taken.length;
  },
});
