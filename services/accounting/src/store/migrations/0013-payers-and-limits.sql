-- Who pays for a hold, what bounds it beside the balance, and who may not use the platform at the moment.

-- A hold is asked for by a user (user_id) and paid by an account (payer_id): the user's own, or the pool of its workspace.
CREATE TABLE workspaces (
  id text PRIMARY KEY CHECK (id ~ '^[0-9a-zA-Z-]{1,64}$'),
  tenant_id text NOT NULL DEFAULT 'default' REFERENCES tenants (id),
  billing text NOT NULL DEFAULT 'user' CHECK (billing IN ('user', 'pool')),
  updated_by text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT ledger_now()
);

ALTER TABLE streaming_sessions
  ADD COLUMN payer_id text REFERENCES user_accounts (id),
  ADD COLUMN api_key_id text,
  -- What it counts for in limit_counters until it is closed, as an array of the type ledger.limit_count.
  ADD COLUMN limit_counts jsonb;
UPDATE streaming_sessions SET payer_id = user_id WHERE status = 'active';
ALTER TABLE streaming_sessions DISABLE TRIGGER closed_holds_stay;
UPDATE streaming_sessions SET payer_id = user_id WHERE status <> 'active';
ALTER TABLE streaming_sessions ENABLE TRIGGER closed_holds_stay;
ALTER TABLE streaming_sessions ALTER COLUMN payer_id SET NOT NULL;
CREATE INDEX streaming_sessions_paid ON streaming_sessions (payer_id) WHERE status = 'active';

ALTER TABLE usage_logs ADD COLUMN payer_id text, ADD COLUMN api_key_id text;
UPDATE usage_logs SET payer_id = user_id;
ALTER TABLE usage_logs ALTER COLUMN payer_id SET NOT NULL;

-- A limit bounds a measure in a window of the tenant's calendar. Without a subject it holds for each one of its scope by itself,
-- unless that one has a limit of its own for the same measure and window.
CREATE TABLE limits (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  -- The order of lists.
  number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  tenant_id text NOT NULL DEFAULT 'default' REFERENCES tenants (id),
  scope text NOT NULL CHECK (scope IN ('tenant', 'workspace', 'member', 'user', 'key', 'model')),
  -- A member is named {workspace}:{user}, all members of a workspace {workspace}:*.
  subject text CHECK (length(subject) BETWEEN 1 AND 200),
  measure text NOT NULL CHECK (measure IN ('credits', 'requests', 'tokens', 'parallel')),
  "window" text NOT NULL CHECK ("window" IN ('minute', 'day', 'week', 'month', 'never')),
  amount credits NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT ledger_now(),
  updated_by text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT ledger_now(),
  ended_at timestamptz,
  CONSTRAINT tenant_is_one CHECK (scope <> 'tenant' OR subject IS NULL),
  -- Answers under way have no window; they end.
  CONSTRAINT parallel_has_no_window CHECK ((measure = 'parallel') = ("window" = 'never') OR measure = 'credits')
);
CREATE UNIQUE INDEX limits_one_each ON limits (tenant_id, scope, coalesce(subject, ''), measure, "window") WHERE ended_at IS NULL;

-- What counts against a limit, for each subject and window. A window is the instant it began: a new one begins by itself, without
-- any job. Changing a limit never touches it.
CREATE TABLE limit_counters (
  limit_id uuid NOT NULL REFERENCES limits (id),
  subject text NOT NULL,
  window_start timestamptz NOT NULL,
  -- Reserved by open holds; used by closed ones. A late correction may take used back below what other windows would allow.
  reserved credits NOT NULL DEFAULT 0,
  used bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (limit_id, subject, window_start)
) WITH (fillfactor = 70);

-- Who may not open a hold now, and whose running answers end at their next renewal.
CREATE TABLE blocks (
  kind text NOT NULL CHECK (kind IN ('user', 'workspace', 'key')),
  id text NOT NULL,
  reason text NOT NULL,
  blocked_by text NOT NULL,
  blocked_at timestamptz NOT NULL DEFAULT ledger_now(),
  number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  PRIMARY KEY (kind, id)
);
