import { type ChargeLine, chargeLine } from '../domain/charge-line.ts';
import type { HoldRecord } from '../domain/hold-state.ts';
import type { BlockReason, CloseHold, ExtendHold, Holds, OpenHold, RenewedHold } from '../ports.ts';
import { claimsRow } from './accounts.ts';
import { closedOf, extendedOf, openedOf, refusedOf } from './hold-answers.ts';
import { type AnswerRow, holdOf, type HoldRow } from './hold-rows.ts';
import { createBatch, createUnderWay } from './batch.ts';
import type { Query } from './postgres.ts';

/** Open holds whose price is remembered, so that a settlement by the same instance is one statement. */
const MOST_REMEMBERED = 50_000;
type Pinned = Readonly<{ userId: string; payerId: string; ruleId: string | null }>;
/** Pools that are known as such; forgetting one costs a little waiting. */
const MOST_POOLS = 10_000;

/**
 * One connection with full batches does more than several with small ones: most of what a small batch costs is the batch. Only beside
 * a statement that takes long goes another.
 */
const BATCHES = {
  lanes: 3,
  patienceMs: 50,
  mostItems: 100,
  mostWaiting: 10_000,
  waitMs: 2000,
  soon: (work: () => void) => void setImmediate(work),
};

type RenewalRow = {
  hold_id: string;
  outcome: RenewedHold['outcome'];
  lease_expires_at: Date | null;
  reason: BlockReason | null;
};

type Memory = ReturnType<typeof rememberHolds>;

/** What this instance knows of holds it opened. */
function rememberHolds() {
  const pinned = new Map<string, Pinned>();
  const pools = new Set<string>();
  return {
    keep({ holdId, userId, payerId, priceRuleId, workspaceId }: HoldRecord): void {
      pinned.set(holdId, { userId, payerId, ruleId: priceRuleId });
      const oldest = pinned.size > MOST_REMEMBERED ? pinned.keys().next().value : undefined;
      if (oldest !== undefined) pinned.delete(oldest);
      if (workspaceId === null || payerId === userId) return;
      if (pools.size >= MOST_POOLS) pools.clear();
      pools.add(workspaceId);
    },
    find: (holdId: string) => pinned.get(holdId),
    forget: (holdId: string) => void pinned.delete(holdId),
    /** Holds of one pool wait for one lock, so they wait in one line. */
    payerOf: (userId: string, workspaceId: string | undefined) =>
      workspaceId !== undefined && pools.has(workspaceId) ? `ws_${workspaceId}` : userId,
  };
}

export function createHolds(query: Query): Holds {
  // A hold and an ending of one account would each find it locked by the other.
  const underWay = createUnderWay();
  const batchOf = <Row>(sql: string, ownerOf: (row: Row) => string) =>
    createBatch((rows: readonly Row[], mayWait) => query<AnswerRow>(sql, [JSON.stringify(rows), mayWait]), {
      ...BATCHES,
      underWay,
      ownerOf,
      isBusy: ({ outcome }) => outcome === 'busy',
    });
  const memory = rememberHolds();
  const open = batchOf('SELECT * FROM ledger.open_holds($1, $2)', (row: ReturnType<typeof openRow>) =>
    memory.payerOf(row.claims.id, row.workspace_id),
  );
  const close = batchOf(
    'SELECT * FROM ledger.close_holds($1, $2)',
    (row: ReturnType<typeof closeRow>) => memory.find(row.hold_id)?.payerId ?? row.user_id,
  );

  return {
    async open(request, signal) {
      const opened = openedOf(await open(openRow(request), signal));
      if ('hold' in opened) memory.keep(opened.hold);
      return opened;
    },
    async extend(request) {
      const rows = await query<AnswerRow>(
        'SELECT * FROM ledger.extend_hold(jsonb_populate_record(NULL::ledger.extension_request, $1))',
        [JSON.stringify(extensionRow(request))],
      );
      const extended = extendedOf(rows[0]);
      if (extended.outcome === 'extended') memory.keep(extended.hold);
      return extended;
    },
    async renew(renewals, leaseSeconds) {
      const items = renewals.map(({ holdId, openedBy, fence, checkpoint, userId }) => ({
        hold_id: holdId,
        user_id: userId,
        opened_by: openedBy,
        fence,
        checkpoint,
      }));
      const rows = await query<RenewalRow>('SELECT * FROM ledger.renew_holds($1, $2)', [
        JSON.stringify(items),
        leaseSeconds,
      ]);
      return rows.map((row) => ({
        holdId: row.hold_id,
        outcome: row.outcome,
        leaseExpiresAt: row.lease_expires_at,
        reason: row.reason,
      }));
    },
    async close(request) {
      const closed = closedOf(await close(closeRow(request)));
      memory.forget(request.holdId);
      return closed;
    },
    async deduct(request, credits) {
      const [row] = await query<AnswerRow>(
        'SELECT * FROM ledger.deduct_credits(jsonb_populate_record(NULL::ledger.hold_request, $1), $2, $3)',
        [JSON.stringify(openRow(request)), credits, request.reason],
      );
      return refusedOf(row) ?? closedOf(row);
    },
    ...createHoldReads(query, memory),
  };
}

const createHoldReads = (query: Query, memory: Memory): Pick<Holds, 'find' | 'findSession' | 'due' | 'pinnedRule'> => ({
  async pinnedRule(holdId, userId, anew = false) {
    const known = memory.find(holdId);
    if (known && !anew) return known.userId === userId ? known.ruleId : undefined;
    const rows = await query<{ price_rule_id: string | null }>(
      'SELECT price_rule_id FROM streaming_sessions WHERE id = $1 AND user_id = $2',
      [holdId, userId],
    );
    return rows[0]?.price_rule_id;
  },
  async find(holdId, userId) {
    const rows = await query<{ hold: HoldRow; available: number }>(
      `SELECT to_jsonb(s) AS hold, ledger.spendable_credits(s.payer_id, ledger_now()) AS available
       FROM streaming_sessions s WHERE id = $1 AND user_id = $2`,
      [holdId, userId],
    );
    return rows[0] && { hold: holdOf(rows[0].hold), available: rows[0].available };
  },
  async findSession(userId, sessionId) {
    const rows = await query<{ hold: HoldRow }>(
      `SELECT to_jsonb(s) AS hold FROM streaming_sessions s WHERE user_id = $1 AND session_id = $2 AND opened_by = 'user'`,
      [userId, sessionId],
    );
    return rows[0] && holdOf(rows[0].hold);
  },
  async due(limit, except, until) {
    const rows = await query<{ hold: HoldRow }>(
      `SELECT to_jsonb(s) AS hold FROM streaming_sessions s
       WHERE status = 'active' AND lease_expires_at <= least((SELECT ledger_now()), $3::timestamptz) AND id <> ALL ($2::uuid[])
       ORDER BY lease_expires_at LIMIT $1`,
      [limit, except, until],
    );
    return rows.map(({ hold }) => holdOf(hold));
  },
});

/** A line in the shape of the SQL type `charge_line`; numbers of any size go as text. */
const lineRow = ({ flat, base, slope, divisor }: ChargeLine) => ({
  flat: String(flat),
  base: String(base),
  slope: String(slope),
  divisor: String(divisor),
});

/** A request in the shape of the SQL type `extension_request`. */
const extensionRow = ({ price, units, resource, ...request }: ExtendHold) => ({
  ...(resource && {
    price_rule_id: price.ruleId,
    upstream: resource.upstream,
    model: resource.model,
    chatflow_id: resource.chatflowId,
  }),
  hold_id: request.holdId,
  user_id: request.userId,
  opened_by: request.openedBy,
  fence: request.fence,
  units,
  line: lineRow(chargeLine(price, units)),
  output: units.output ?? 0,
  min_output: request.minOutput,
  actor: request.actor,
  request_id: request.requestId,
});

/** A request in the shape of the SQL type `hold_request`. */
function openRow(request: OpenHold) {
  const { price, units, resource, claims } = request;
  const line = price
    ? chargeLine(price, units)
    : { flat: BigInt(units.request ?? 0), base: 0n, slope: 0n, divisor: 1n };
  return {
    hold_id: request.holdId,
    claims: claimsRow(claims),
    opened_by: request.openedBy,
    session_id: request.sessionId,
    open_key: request.key,
    open_hash: request.fingerprint,
    upstream: resource?.upstream,
    model: resource?.model,
    chatflow_id: resource?.chatflowId,
    workspace_id: request.workspaceId,
    api_key_id: request.apiKeyId,
    price_rule_id: price?.ruleId,
    units,
    metadata: request.metadata,
    line: lineRow(line),
    output: units.output ?? 0,
    min_output: request.minOutput,
    lease_seconds: request.leaseSeconds,
    actor: request.actor,
    request_id: request.requestId,
  };
}

/** A request in the shape of the SQL type `close_request`. */
const closeRow = (request: CloseHold) => ({
  hold_id: request.holdId,
  user_id: request.userId,
  opened_by: request.openedBy,
  cause: request.cause,
  charge: request.charge,
  rounding_micro: request.roundingMicro,
  outcome: request.outcome,
  usage_source: request.usageSource,
  units: request.units,
  raw_usage: storable(request.rawUsage),
  reason: request.reason,
  metadata: request.metadata,
  close_key: request.key,
  close_hash: request.fingerprint,
  policy: request.policy,
  price_rule_id: request.priceRuleId,
  refused: request.refused,
  seen_lease: request.seenLease,
  actor: request.actor,
  request_id: request.requestId,
});

/** A NUL or half a surrogate pair, as JSON writes them. PostgreSQL refuses both. */
const UNSTORABLE = /\\u(0000|d[89a-f])/i;

/** What an upstream said must never keep a hold from closing: what cannot be stored as it is, is stored as Base64 of its JSON. */
function storable(value: unknown): unknown {
  const json = JSON.stringify(value) ?? '';
  return UNSTORABLE.test(json) ? { base64: Buffer.from(json).toString('base64') } : value;
}
