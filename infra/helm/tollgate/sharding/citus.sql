-- The plan of docs/scaling.md, "Past one PostgreSQL". It has run nowhere: keys marked there must first contain user_id.
-- Tables that every worker needs whole: few rows, or rows of no account.
SELECT create_reference_table(name::regclass)
FROM unnest(ARRAY['tenants', 'price_rules', 'workspaces', 'limits', 'blocks', 'key_limits', 'workspace_members', 'usage_rollup', 'schema_migrations']) AS name;
-- Everything of an account on the worker of that account, so that a batch of holds stays one local transaction.
SELECT create_distributed_table('user_accounts', 'id', shard_count => 64);
SELECT create_distributed_table(name::regclass, 'user_id', colocate_with => 'user_accounts')
FROM unnest(ARRAY['credit_allocations', 'credit_transactions', 'credit_entries', 'streaming_sessions', 'hold_lots', 'refunds', 'usage_logs', 'usage_daily', 'topup_orders', 'ledger_head_leaves']) AS name;
-- Stay on the coordinator as they are: idempotency_keys, rate_limits, limit_counters, outbox, outbox_deliveries, payment_events,
-- vouchers, usage_daily_totals, ledger_heads, reconciliation_runs.
