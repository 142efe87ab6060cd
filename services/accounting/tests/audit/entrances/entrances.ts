import { newUserId } from '@tollgate/test-kit';
import { ACCOUNT, ADVISORY, claimsOf, type Entrances, type World } from './entrance.ts';
import { holds } from './holds.ts';
import { payments, vouchers } from './payments.ts';

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
    guard: /FROM user_accounts .*FOR (NO KEY )?UPDATE SKIP LOCKED\) UPDATE user_accounts/,
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

const installation = ({ log }: World): Entrances => ({
  change_tenant: {
    guard: /FROM tenants WHERE .*FOR (NO KEY )?UPDATE/,
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
    guard: /^DELETE FROM limit_counters WHERE .*reserved = 0 .*FOR (NO KEY )?UPDATE OF c SKIP LOCKED/,
    run: () => log.of('SELECT ledger.forget_counters(10)'),
  },
  roll_up_usage: {
    guard: /FROM usage_rollup FOR (NO KEY )?UPDATE/,
    run: () => log.of('SELECT ledger.roll_up_usage()'),
  },
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
