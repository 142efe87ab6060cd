-- What an auditor is shown: signed heads of the ledger, and the runs that compared the books with each other. Never changed.

-- Head n names the one before it by its hash and covers, as a Merkle root, the newest transaction of every account that has changed
-- since then. See docs/adr/0012-signed-ledger-heads.md.
CREATE TABLE ledger_heads (
  number bigint PRIMARY KEY CHECK (number > 0),
  taken_at timestamptz NOT NULL,
  previous_hash bytea NOT NULL,
  root bytea NOT NULL,
  -- How many accounts have changed since the head before, and by how many transactions.
  accounts integer NOT NULL CHECK (accounts > 0),
  transactions bigint NOT NULL CHECK (transactions >= accounts),
  hash bytea NOT NULL UNIQUE,
  key_id text NOT NULL,
  signature bytea NOT NULL,
  -- For finding what changes next, not signed: everything up to `scan_from` was seen by an earlier head; ids up to `last_id` belong
  -- to database transactions before `next_xid`.
  scan_from bigint NOT NULL,
  last_id bigint NOT NULL,
  next_xid bigint NOT NULL
);

CREATE TABLE ledger_head_leaves (
  head_number bigint NOT NULL REFERENCES ledger_heads (number),
  user_id text NOT NULL REFERENCES user_accounts (id),
  account_seq bigint NOT NULL,
  hash bytea NOT NULL,
  PRIMARY KEY (user_id, account_seq)
);
CREATE INDEX ledger_head_leaves_of_head ON ledger_head_leaves (head_number, user_id);

CREATE TABLE reconciliation_runs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  taken_at timestamptz NOT NULL DEFAULT ledger_now(),
  -- Whether it read the whole ledger, or what had changed since the run before.
  is_full boolean NOT NULL,
  duration_ms integer NOT NULL,
  offenders bigint NOT NULL,
  checks jsonb NOT NULL,
  scan_from bigint NOT NULL,
  last_id bigint NOT NULL,
  next_xid bigint NOT NULL
);
CREATE INDEX reconciliation_runs_full ON reconciliation_runs (id) WHERE is_full;

CREATE TRIGGER heads_stay BEFORE UPDATE OR DELETE ON ledger_heads FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER heads_stay_all BEFORE TRUNCATE ON ledger_heads EXECUTE FUNCTION refuse_change();
CREATE TRIGGER leaves_stay BEFORE UPDATE OR DELETE ON ledger_head_leaves FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER leaves_stay_all BEFORE TRUNCATE ON ledger_head_leaves EXECUTE FUNCTION refuse_change();
CREATE TRIGGER runs_stay BEFORE UPDATE OR DELETE ON reconciliation_runs FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER runs_stay_all BEFORE TRUNCATE ON reconciliation_runs EXECUTE FUNCTION refuse_change();
