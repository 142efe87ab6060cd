-- What was used, one row for each closed hold and each record of a service; a late correction is a row of its own, with its sign.
CREATE TABLE usage_logs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text NOT NULL DEFAULT 'default',
  user_id text NOT NULL REFERENCES user_accounts (id),
  service text NOT NULL,
  operation text NOT NULL,
  credits bigint NOT NULL,
  written_off_credits credits NOT NULL DEFAULT 0,
  hold_id uuid,
  is_correction boolean NOT NULL DEFAULT false,
  upstream text,
  model text,
  chatflow_id text,
  workspace_id text,
  input_tokens bigint,
  output_tokens bigint,
  units jsonb,
  usage_source text,
  raw_usage jsonb,
  outcome text,
  reason text,
  price_rule_id uuid,
  metadata jsonb NOT NULL DEFAULT '{}',
  "timestamp" timestamptz NOT NULL DEFAULT ledger_now(),
  CHECK (credits >= 0 OR is_correction)
);
CREATE INDEX usage_logs_of_user ON usage_logs (user_id, "timestamp", id);
CREATE INDEX usage_logs_time ON usage_logs USING brin ("timestamp");
CREATE UNIQUE INDEX usage_logs_hold ON usage_logs (hold_id) WHERE hold_id IS NOT NULL AND NOT is_correction;

-- One row for each Idempotency-Key, written in the transaction of its effect. Without a response the row belongs to a running request.
CREATE TABLE idempotency_keys (
  tenant_id text NOT NULL DEFAULT 'default',
  caller text NOT NULL,
  operation text NOT NULL,
  key text NOT NULL,
  request_hash text NOT NULL,
  response_status smallint,
  response_body jsonb,
  created_at timestamptz NOT NULL DEFAULT ledger_now(),
  PRIMARY KEY (tenant_id, caller, operation, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
