import { createHash, randomUUID } from 'node:crypto';
import { newUserId } from '@tollgate/test-kit';
import type { Accounting, User } from '../accounting.ts';
import type { StatementLog } from './statement-log.ts';

/** How an entrance is called so that it writes, and what must stand before its first write, or be it. */
export type Entrance = Readonly<{
  guard: RegExp;
  /** The lock is taken by the query of the loop around the writes, which the database writes down when the loop has ended. */
  isLoop?: boolean;
  run: () => Promise<string[]>;
}>;
type Entrances = Record<string, Entrance>;
type World = Readonly<{ accounting: Accounting; alice: User; log: StatementLog }>;

export const ACCOUNT = /FROM user_accounts WHERE .*FOR UPDATE/;
const HOLD = /FROM streaming_sessions WHERE .*FOR UPDATE/;
const ADVISORY = /pg_advisory_xact_lock/;

/** Every entrance of 99-entrances.sql. */
export const entrancesOf = (world: World): Entrances => ({
  ...accounts(world),
  ...lots(world),
  ...holds(world),
  ...payments(world),
  ...vouchers(world),
  ...installation(world),
  ...heads(world),
});

const claimsOf = ({ userId }: User) => ({ id: userId, role: 'enduser' });

const accounts = ({ alice, log }: World): Entrances => ({
  touch_account: {
    guard: ACCOUNT,
    run: () =>
      log.ofCall('touch_account', 'account_claims', {
        ...claimsOf(alice),
        username: 'new',
        issued_at: new Date().toISOString(),
      }),
  },
  open_account: {
    // Nobody can lock a row that is not there: one statement inserts it unless the id or the address is taken.
    guard: ADVISORY,
    run() {
      const id = newUserId();
      const account = { id, username: id, email: `${id}@example.test`, role: 'enduser' };
      return log.ofCall('open_account', 'account_claims', account);
    },
  },
  set_billing: {
    // The last word counts; what it needs is inserted unless it is there.
    guard: /^INSERT INTO user_accounts .* ON CONFLICT \(id\) DO NOTHING/,
    run: () => log.of("SELECT ledger.set_billing('team', 'pool', 'test')"),
  },
  set_price_group: {
    guard: ACCOUNT,
    run: () => log.of("SELECT * FROM ledger.set_price_group($1, 'partners')", [alice.userId]),
  },
  rearm_alerts: {
    guard: /FROM user_accounts .*FOR UPDATE SKIP LOCKED\) UPDATE user_accounts/,
    async run() {
      await log.client.query('UPDATE user_accounts SET alert_version = 0 WHERE id = $1', [alice.userId]);
      return log.of('SELECT ledger.rearm_alerts(10)');
    },
  },
});

const lots = ({ accounting, alice, log }: World): Entrances => ({
  grant_credits: {
    guard: ACCOUNT,
    run: () =>
      log.ofCall('grant_credits', 'lot_request', {
        user_id: alice.userId,
        source: 'admin',
        credits: 5,
        expiry_days: 1,
        actor: 'test',
      }),
  },
  revoke_lot: {
    guard: ACCOUNT,
    run: async () =>
      log.of("SELECT * FROM ledger.revoke_lot($1, 'test', 'x', 'r')", [await accounting.grant(alice, { credits: 7 })]),
  },
  expire_lots: {
    guard: ACCOUNT,
    isLoop: true,
    async run() {
      await log.client.query(
        "UPDATE credit_allocations SET effective_at = now() - interval '2 days', expires_at = now() - interval '1 day' WHERE id = $1",
        [await accounting.grant(alice, { credits: 7 })],
      );
      return log.of('SELECT * FROM ledger.expire_lots(10)');
    },
  },
  adjust_credits: {
    guard: ACCOUNT,
    run: () =>
      log.ofCall('adjust_credits', 'adjustment_request', {
        user_id: alice.userId,
        change: -3,
        actor: 'test',
        reason: 'x',
      }),
  },
});

const line = { flat: 0, base: 0, slope: 1, divisor: 1 };
const holdOf = (user: User, holdId: string = randomUUID()) => ({
  hold_id: holdId,
  claims: claimsOf(user),
  opened_by: 'chat-proxy',
  open_key: holdId,
  open_hash: 'h',
  upstream: 'openai',
  model: 'priced',
  units: { output: 5 },
  line,
  output: 5,
  lease_seconds: 60,
  actor: 'test',
});

const open = ({ alice, log }: World, holdId?: string) =>
  log.of('SELECT * FROM ledger.open_holds($1, true)', [JSON.stringify([holdOf(alice, holdId)])]);

/** What names an open hold to its owner. */
async function held(world: World) {
  const holdId = randomUUID();
  await open(world, holdId);
  return { hold_id: holdId, user_id: world.alice.userId, opened_by: 'chat-proxy' };
}

const settle = async (world: World, hold: object) =>
  world.log.of('SELECT * FROM ledger.close_holds($1, true)', [
    JSON.stringify([
      {
        ...hold,
        cause: 'settle',
        charge: 3,
        outcome: 'completed',
        units: { output: 3 },
        close_key: 'k',
        close_hash: 'h',
        policy: 'absorb',
        actor: 'test',
      },
    ]),
  ]);

const holds = (world: World): Entrances => ({
  open_holds: { guard: ACCOUNT, run: () => open(world) },
  extend_hold: {
    guard: ACCOUNT,
    run: async () =>
      world.log.ofCall('extend_hold', 'extension_request', {
        ...(await held(world)),
        fence: 1,
        units: { output: 9 },
        line,
        output: 9,
        actor: 'test',
      }),
  },
  renew_holds: {
    guard: HOLD,
    run: async () =>
      world.log.of('SELECT * FROM ledger.renew_holds($1, 60)', [
        JSON.stringify([{ ...(await held(world)), fence: 1 }]),
      ]),
  },
  close_holds: { guard: HOLD, run: async () => settle(world, await held(world)) },
  deduct_credits: {
    guard: ACCOUNT,
    run: () =>
      world.log.of(
        "SELECT * FROM ledger.deduct_credits(jsonb_populate_record(NULL::ledger.hold_request, $1), 5, 'x')",
        [JSON.stringify({ ...holdOf(world.alice), opened_by: 'user' })],
      ),
  },
  refund_credits: {
    guard: ACCOUNT,
    async run() {
      const hold = await held(world);
      await settle(world, hold);
      return world.log.ofCall('refund_credits', 'refund_request', { ...hold, credits: 1, actor: 'test', reason: 'x' });
    },
  },
});

const payments = ({ alice, log }: World): Entrances => {
  const order = { claims: claimsOf(alice), provider: 'stripe', credits: 10, amount_minor: 100, currency: 'EUR' };
  return {
    create_topup: { guard: ACCOUNT, run: () => log.ofCall('create_topup', 'topup_request', order) },
    receive_payment: {
      guard: ADVISORY,
      async run() {
        const { rows } = await log.client.query(
          'SELECT id FROM ledger.create_topup(jsonb_populate_record(NULL::ledger.topup_request, $1))',
          [JSON.stringify(order)],
        );
        return log.ofCall('receive_payment', 'payment_event', {
          provider: 'stripe',
          event_id: randomUUID(),
          type: 'paid',
          kind: 'paid',
          order_id: rows[0]?.id,
          payment_id: randomUUID(),
          amount_minor: 100,
          currency: 'EUR',
          body_sha256: 'x',
          policy: 'absorb',
        });
      },
    },
  };
};

const vouchers = ({ alice, log }: World): Entrances => {
  const hashOf = (code: string) => createHash('sha256').update(code).digest('hex');
  const make = (code: string) =>
    log.ofCall('create_vouchers', 'voucher_request', {
      hashes: [hashOf(code)],
      credits: 5,
      redeemable_until: new Date(Date.now() + 60_000).toISOString(),
      actor: 'test',
    });
  return {
    // New rows; the hash of a code is unique.
    create_vouchers: {
      guard: /^INSERT INTO vouchers .*WHERE .*redeemable_until > ledger_now\(\)/,
      run: () => make('a'),
    },
    redeem_voucher: {
      guard: ACCOUNT,
      async run() {
        await make('b');
        return log.of(
          "SELECT * FROM ledger.redeem_voucher(jsonb_populate_record(NULL::ledger.account_claims, $1), $2, 'test', 'r')",
          [JSON.stringify(claimsOf(alice)), hashOf('b')],
        );
      },
    },
    void_voucher: {
      guard: /^UPDATE vouchers SET .* WHERE id = p_id AND redeemed_at IS NULL AND voided_at IS NULL/,
      async run() {
        await make('c');
        return log.of("SELECT ledger.void_voucher(max(id), 'test') FROM vouchers");
      },
    },
  };
};

const installation = ({ log }: World): Entrances => ({
  change_tenant: {
    guard: /FROM tenants WHERE .*FOR UPDATE/,
    run: () =>
      log.of("SELECT ledger.change_tenant('default', jsonb_populate_record(NULL::ledger.tenant_request, $1))", [
        JSON.stringify({ time_zone: 'Europe/Berlin', actor: 'test', request_id: 'r' }),
      ]),
  },
  emit_event: {
    // A new row of its own: nothing is decided.
    guard: /^INSERT INTO outbox \(/,
    run: () => log.of("SELECT ledger.emit_event('default', 'credits.low', NULL, '{}', NULL)"),
  },
  forget_counters: {
    guard: /^DELETE FROM limit_counters WHERE .*reserved = 0 .*FOR UPDATE OF c SKIP LOCKED/,
    run: () => log.of('SELECT ledger.forget_counters(10)'),
  },
  roll_up_usage: { guard: /FROM usage_rollup FOR UPDATE/, run: () => log.of('SELECT ledger.roll_up_usage()') },
});

const heads = ({ alice, log }: World): Entrances => ({
  append_head: {
    guard: ADVISORY,
    async run() {
      const bytes = `\\x${'0'.repeat(64)}`;
      const statements = await log.ofCall('append_head', 'head_request', {
        number: 1,
        taken_at: new Date().toISOString(),
        previous_hash: '\\x',
        root: bytes,
        transactions: 1,
        hash: bytes,
        key_id: 'x',
        signature: bytes,
        scan_from: 0,
        last_id: 0,
        next_xid: 0,
        user_ids: [alice.userId],
        seqs: [1],
      });
      // A head that nobody has signed is none.
      await log.client.query("SET session_replication_role = 'replica'");
      await log.client.query('DELETE FROM ledger_head_leaves; DELETE FROM ledger_heads');
      await log.client.query('RESET session_replication_role');
      return statements;
    },
  },
});
