import type { BillingBody, Workspaces } from '../ports.ts';
import type { Query } from './postgres.ts';

type Row = { billing: BillingBody['billing'] | null; available: number; held: number | null; updated_at: Date | null };

export const createWorkspaces = (query: Query): Workspaces => ({
  async billing(workspaceId) {
    const poolId = `ws_${workspaceId}`;
    const [row] = await query<Row>(
      `SELECT w.billing, w.updated_at, ledger.spendable_credits($2, ledger_now()) AS available, a.held_credits::bigint AS held
       FROM (SELECT) one LEFT JOIN workspaces w ON w.id = $1 LEFT JOIN user_accounts a ON a.id = $2`,
      [workspaceId, poolId],
    );
    return {
      workspaceId,
      poolId,
      billing: row?.billing ?? 'user',
      available: row?.available ?? 0,
      held: row?.held ?? 0,
      updatedAt: row?.updated_at?.toISOString() ?? null,
    };
  },
  async setBilling(workspaceId, billing, actor) {
    await query('SELECT ledger.set_billing($1, $2, $3)', [workspaceId, billing, actor]);
  },
});
