import type { Role } from '@tollgate/contracts';
import type { Claims } from '../domain/callers.ts';
import type { Account, Accounts, FindAccount, LotRecord } from '../ports.ts';
import { isWithinOn } from './scope.ts';
import type { Query } from './postgres.ts';

type Row = {
  id: string;
  username: string | null;
  email: string | null;
  role: Role;
  created_at: Date;
  updated_at: Date;
  flagged_reason: string | null;
};

const accountOf = (row: Row): Account => ({
  id: row.id,
  username: row.username,
  email: row.email,
  role: row.role,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  flaggedReason: row.flagged_reason,
});

/** Claims in the shape of the SQL type `account_claims`. */
export const claimsRow = ({ id, username, email, role, issuedAt }: Claims) => ({
  id,
  username,
  email,
  role,
  issued_at: issuedAt?.toISOString(),
});

const COLUMNS = 'id, username, email, role, created_at, updated_at, flagged_reason';
/** Lots that can be spent at an instant, read without any job having booked what lapsed. */
const SPENDABLE = 'remaining_credits > 0 AND effective_at <= n.now AND (expires_at IS NULL OR expires_at > n.now)';

/** Every id an account may have but those of workspaces. */
const ID = /^[0-9a-f]{24,32}$/;

/** Looks accounts up on the given connection: a transaction that asked the pool for a second one could wait for itself. */
export const findAccountOn =
  (query: Query): FindAccount =>
  async (name) => {
    const rows = await query<Row>(
      ID.test(name)
        ? `SELECT ${COLUMNS} FROM user_accounts WHERE id = $1`
        : `SELECT ${COLUMNS} FROM user_accounts WHERE id = $1 OR lower(email) = lower($1) OR username = $1
           ORDER BY id = $1 DESC, lower(email) = lower($1) DESC, profile_issued_at DESC, id LIMIT 1`,
      [name],
    );
    return rows[0] && accountOf(rows[0]);
  };

export function createAccounts(query: Query): Accounts {
  const find = findAccountOn(query);
  return {
    async touch(claims) {
      await query('SELECT ledger.touch_account(jsonb_populate_record(NULL::ledger.account_claims, $1))', [
        JSON.stringify(claimsRow(claims)),
      ]);
    },
    find,
    async create(claims) {
      const [row] = await query<{ outcome: 'opened' | 'id' | 'email' }>(
        'SELECT ledger.open_account(jsonb_populate_record(NULL::ledger.account_claims, $1)) AS outcome',
        [JSON.stringify(claims)],
      );
      if (row?.outcome === 'id' || row?.outcome === 'email') return row.outcome;
      const account = await find(claims.id);
      if (!account) throw new Error('open_account opened nothing');
      return account;
    },
    async balance(userId) {
      const [row] = await query<{ available: number; held: number; expiring_soon: number }>(
        `SELECT coalesce(sum(l.remaining_credits), 0)::bigint AS available, a.held_credits::bigint AS held,
                coalesce(sum(l.remaining_credits) FILTER (WHERE l.expires_at <= n.now + interval '7 days'), 0)::bigint AS expiring_soon
         FROM (SELECT ledger_now() AS now OFFSET 0) n JOIN user_accounts a ON a.id = $1
         LEFT JOIN credit_allocations l ON l.user_id = a.id AND ${SPENDABLE} GROUP BY a.id`,
        [userId],
      );
      return { available: row?.available ?? 0, held: row?.held ?? 0, expiringSoon: row?.expiring_soon ?? 0 };
    },
    isWithin: isWithinOn(query),
    async payerOf(userId, workspaceId) {
      const rows = await query(`SELECT FROM workspaces WHERE id = $1 AND billing = 'pool'`, [workspaceId]);
      return rows.length > 0 ? `ws_${workspaceId}` : userId;
    },
    async activeLots(userId) {
      const rows = await query<LotRow>(
        `SELECT id, remaining_credits::bigint AS credits, expires_at, allocated_at, source, priority, models, upstreams, workspace_id
         FROM credit_allocations, (SELECT ledger_now() AS now OFFSET 0) n WHERE user_id = $1 AND ${SPENDABLE}
         ORDER BY priority, credit_allocations.expires_at NULLS LAST, is_paid, effective_at, id LIMIT 1000`,
        [userId],
      );
      return rows.map(({ expires_at, allocated_at, workspace_id, ...lot }) => ({
        ...lot,
        expiresAt: expires_at,
        allocatedAt: allocated_at,
        workspaceId: workspace_id,
      }));
    },
  };
}

type LotRow = Pick<LotRecord, 'id' | 'credits' | 'source' | 'priority' | 'models' | 'upstreams'> & {
  expires_at: Date | null;
  allocated_at: Date;
  workspace_id: string | null;
};
