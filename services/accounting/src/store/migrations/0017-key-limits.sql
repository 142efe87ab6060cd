-- The newest revision of the limits that auth has set for an API key, so that a call which comes late does not win. The limits
-- themselves are rows like all others.
CREATE TABLE key_limits (
  key_id text PRIMARY KEY CHECK (key_id ~ '^[0-9A-Za-z]{16}$'),
  revision bigint NOT NULL CHECK (revision >= 0),
  updated_at timestamptz NOT NULL DEFAULT ledger_now()
);
