import type { Adjusted, Doer, Grant, Granted, KeyClaim, StoredAnswer, Transaction, Tx } from '../ports.ts';
import { claimsRow, findAccountOn } from './accounts.ts';
import { isWithinOn } from './scope.ts';
import { paymentTxOn } from './payments/payment-tx.ts';
import type { Postgres, Query } from './postgres.ts';

/** Transactions over everything that moves money besides the life of holds. */
export const createTransaction = (postgres: Postgres): Transaction => {
  return (work) => postgres.transaction((query) => work(txOn(query)));
};

function txOn(query: Query): Tx {
  return {
    ...paymentTxOn(query),
    claimKey: (claim) => claimKey(query, claim),
    async keepAnswer({ caller, operation, key }, { status, body }) {
      await query(
        `UPDATE idempotency_keys SET response_status = $4, response_body = $5
         WHERE tenant_id = 'default' AND caller = $1 AND operation = $2 AND key = $3`,
        [caller, operation, key, status, JSON.stringify(body)],
      );
    },
    savepoint: (work) => savepoint(query, work),
    async touch(claims) {
      await query('SELECT ledger.touch_account(jsonb_populate_record(NULL::ledger.account_claims, $1))', [
        JSON.stringify(claimsRow(claims)),
      ]);
    },
    findAccount: findAccountOn(query),
    isWithin: isWithinOn(query),
    async grant(grant) {
      const [row] = await query<LotRow>(
        'SELECT * FROM ledger.grant_credits(jsonb_populate_record(NULL::ledger.lot_request, $1))',
        [JSON.stringify(grantRow(grant))],
      );
      return grantedOf(row);
    },
    async adjust({ userId, change, target, largestChange, expiryDays, ...doer }) {
      const request = {
        user_id: userId,
        change,
        target,
        largest_change: largestChange,
        expiry_days: expiryDays,
        ...doerRow(doer),
      };
      const [row] = await query<AdjustmentRow>(
        'SELECT * FROM ledger.adjust_credits(jsonb_populate_record(NULL::ledger.adjustment_request, $1))',
        [JSON.stringify(request)],
      );
      if (!row) throw new Error('adjust_credits gave no answer');
      return { outcome: row.outcome, previous: row.previous_credits, current: row.new_credits };
    },
    async revoke(lotId, { actor, requestId, reason }) {
      const [row] = await query<RevocationRow>('SELECT * FROM ledger.revoke_lot($1, $2, $3, $4)', [
        lotId,
        actor,
        reason,
        requestId,
      ]);
      return row?.user_id ? { userId: row.user_id, revoked: row.revoked_credits, held: row.held_credits } : undefined;
    },
    async recordUsage({ userId, service, operation, credits, metadata }) {
      const [row] = await query<{ id: number; timestamp: Date }>(
        `INSERT INTO usage_logs (user_id, payer_id, service, operation, credits, metadata, model)
         VALUES ($1, $1, $2, $3, $4, $5, $5::jsonb ->> 'model') RETURNING id, "timestamp"`,
        [userId, service, operation, credits, JSON.stringify(metadata)],
      );
      if (!row) throw new Error('the usage was not recorded');
      return row;
    },
  };
}

/**
 * The lock says at once whether the first request with this key is still running; a plain insert would wait for it.
 * It is held until the transaction ends.
 */
async function claimKey(query: Query, { caller, operation, key, fingerprint }: KeyClaim): ReturnType<Tx['claimKey']> {
  const names = [caller, operation, key];
  const [lock] = await query<{ free: boolean }>('SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS free', [
    JSON.stringify(names),
  ]);
  if (!lock?.free) return 'running';
  const claimed = await query(
    'INSERT INTO idempotency_keys (caller, operation, key, request_hash) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING key',
    [...names, fingerprint],
  );
  if (claimed.length > 0) return 'claimed';
  const [stored] = await query<{ request_hash: string; response_status: number; response_body: unknown }>(
    `SELECT request_hash, response_status, response_body FROM idempotency_keys
     WHERE tenant_id = 'default' AND caller = $1 AND operation = $2 AND key = $3`,
    names,
  );
  if (!stored) return 'running';
  return {
    fingerprint: stored.request_hash,
    status: stored.response_status,
    body: stored.response_body,
  } satisfies StoredAnswer & {
    fingerprint: string;
  };
}

async function savepoint<T>(query: Query, work: () => Promise<T>): Promise<T> {
  await query('SAVEPOINT work');
  try {
    const result = await work();
    await query('RELEASE SAVEPOINT work');
    return result;
  } catch (error) {
    await query('ROLLBACK TO SAVEPOINT work');
    throw error;
  }
}

const grantRow = ({ userId, source, credits, priority, models, upstreams, ...grant }: Grant) => ({
  user_id: userId,
  source,
  credits,
  priority,
  models,
  upstreams,
  workspace_id: grant.workspaceId,
  effective_at: grant.effectiveAt,
  expires_at: grant.expiresAt,
  expiry_days: grant.expiryDays,
  grant_key: grant.grantKey,
  ...doerRow(grant),
});

const doerRow = ({ actor, requestId, reason }: Doer) => ({ actor, request_id: requestId, reason });

type LotRow = {
  outcome: Granted['outcome'];
  allocation_id: number;
  remaining_credits: number;
  expires_at: Date | null;
};
type AdjustmentRow = { outcome: Adjusted['outcome']; previous_credits: number; new_credits: number };
type RevocationRow = { user_id: string | null; revoked_credits: number; held_credits: number };

function grantedOf(row: LotRow | undefined): Granted {
  if (!row) throw new Error('grant_credits gave no answer');
  if (row.outcome === 'duplicate') return { outcome: 'duplicate', id: row.allocation_id };
  if (row.outcome !== 'granted') return { outcome: row.outcome };
  return { outcome: 'granted', id: row.allocation_id, remaining: row.remaining_credits, expiresAt: row.expires_at };
}
