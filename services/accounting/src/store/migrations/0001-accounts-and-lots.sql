-- Who has credits, and the lots they consist of. Amounts are whole credits (BIGINT), at most 2^53-1, the largest safe JSON integer.

-- The one clock of money: expiry, leases and bookings never look at an application's clock. No setting moves it; tests, as superuser,
-- put another function in its place.
CREATE FUNCTION ledger_now() RETURNS timestamptz LANGUAGE sql VOLATILE RETURN clock_timestamp();

CREATE DOMAIN credits AS bigint CHECK (VALUE BETWEEN 0 AND 9007199254740991);

-- total_credits, held_credits and debt_credits are projections of the ledger, written in the same transaction by ledger_post().
-- The row is the lock of everything an account owns: whoever changes its lots or holds has locked it first.
CREATE TABLE user_accounts (
  id text PRIMARY KEY CHECK (id ~ '^([0-9a-f]{24,32}|ws_[0-9a-zA-Z-]{1,64})$'),
  tenant_id text NOT NULL DEFAULT 'default',
  username text,
  email text,
  role text NOT NULL DEFAULT 'enduser' CHECK (role IN ('enduser', 'supervisor', 'admin')),
  -- When the token was issued that the three lines above come from; an older token never overwrites them.
  profile_issued_at timestamptz NOT NULL DEFAULT '-infinity',
  total_credits credits NOT NULL DEFAULT 0,
  held_credits credits NOT NULL DEFAULT 0,
  debt_credits credits NOT NULL DEFAULT 0,
  ledger_seq bigint NOT NULL DEFAULT 0 CHECK (ledger_seq >= 0),
  ledger_hash bytea NOT NULL DEFAULT '\x',
  created_at timestamptz NOT NULL DEFAULT ledger_now(),
  updated_at timestamptz NOT NULL DEFAULT ledger_now()
) WITH (fillfactor = 70);

-- Not unique: a person may sign up again under an address that an earlier account had.
CREATE INDEX user_accounts_email ON user_accounts (lower(email));
CREATE INDEX user_accounts_username ON user_accounts (username);

CREATE TABLE credit_allocations (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text NOT NULL DEFAULT 'default',
  user_id text NOT NULL REFERENCES user_accounts (id),
  source text NOT NULL CHECK (source IN ('admin', 'topup', 'promo', 'plan', 'refund', 'adjustment')),
  is_paid boolean NOT NULL GENERATED ALWAYS AS (source = 'topup') STORED,
  priority integer NOT NULL DEFAULT 100 CHECK (priority BETWEEN 0 AND 1000),
  total_credits credits NOT NULL CHECK (total_credits > 0),
  remaining_credits credits NOT NULL,
  held_credits credits NOT NULL DEFAULT 0,
  consumed_credits credits NOT NULL DEFAULT 0,
  expired_credits credits NOT NULL DEFAULT 0,
  revoked_credits credits NOT NULL DEFAULT 0,
  effective_at timestamptz NOT NULL,
  expires_at timestamptz,
  -- A filter that is null lets every request pass.
  models text[],
  upstreams text[],
  workspace_id text,
  grant_key text,
  allocated_by text NOT NULL,
  notes text,
  allocated_at timestamptz NOT NULL DEFAULT ledger_now(),
  voided_at timestamptz,
  CONSTRAINT lot_adds_up CHECK (
    remaining_credits + held_credits + consumed_credits + expired_credits + revoked_credits = total_credits
  ),
  CONSTRAINT lot_lives CHECK (expires_at > effective_at)
) WITH (fillfactor = 70);

-- In burn order (credits.md): priority, earliest expiry, free before paid, oldest, id.
CREATE INDEX credit_allocations_burn_order
  ON credit_allocations (user_id, priority, expires_at NULLS LAST, is_paid, effective_at, id) WHERE remaining_credits > 0;
CREATE INDEX credit_allocations_due ON credit_allocations (expires_at) WHERE remaining_credits > 0 AND expires_at IS NOT NULL;
-- One lot per business event (a plan's period, a payment), for ever.
CREATE UNIQUE INDEX credit_allocations_grant_key ON credit_allocations (user_id, source, grant_key) WHERE grant_key IS NOT NULL;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: its rows are never changed', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER accounts_stay BEFORE DELETE ON user_accounts FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER accounts_stay_all BEFORE TRUNCATE ON user_accounts EXECUTE FUNCTION refuse_change();
CREATE TRIGGER lots_stay BEFORE DELETE ON credit_allocations FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER lots_stay_all BEFORE TRUNCATE ON credit_allocations EXECUTE FUNCTION refuse_change();
