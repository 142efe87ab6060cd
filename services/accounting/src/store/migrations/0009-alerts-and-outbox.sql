-- Low-balance alerts, and the events that wait to be told to the world outside.

-- When a user is warned: at these shares of what the account had right after its last grant, and at these amounts.
-- A change of them gets the next version; accounts are brought to it in small batches (functions/21-alerts.sql).
ALTER TABLE tenants
  ADD COLUMN alert_percentages integer[] NOT NULL DEFAULT '{20,0}',
  ADD COLUMN alert_credits bigint[] NOT NULL DEFAULT '{}',
  ADD COLUMN alert_version integer NOT NULL DEFAULT 1,
  ADD CONSTRAINT alert_percentages_are_few CHECK (
    cardinality(alert_percentages) <= 10 AND array_position(alert_percentages, NULL) IS NULL
    AND 0 <= ALL (alert_percentages) AND 99 >= ALL (alert_percentages)),
  ADD CONSTRAINT alert_credits_are_few CHECK (
    cardinality(alert_credits) <= 10 AND array_position(alert_credits, NULL) IS NULL
    AND 0 < ALL (alert_credits) AND 9007199254740991 >= ALL (alert_credits));

-- What the settlement of a hold compares with: an alert is due when available + held is below it; 0: never.
ALTER TABLE user_accounts
  ADD COLUMN alert_below bigint NOT NULL DEFAULT 0,
  ADD COLUMN alert_base credits NOT NULL DEFAULT 0,
  ADD COLUMN alert_version integer NOT NULL DEFAULT 0;
CREATE INDEX user_accounts_alert_version ON user_accounts (tenant_id, alert_version);

-- An event is written in the transaction of what it tells of, and is never changed but for the time it was routed.
CREATE TABLE outbox (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  type text NOT NULL CHECK (type ~ '^[a-z]+(\.[a-z_]+)+$'),
  -- The account it concerns, whose owner may be written to.
  user_id text,
  payload jsonb NOT NULL CHECK (jsonb_typeof(payload) = 'object' AND octet_length(payload::text) <= 65536),
  created_at timestamptz NOT NULL,
  -- When it got its deliveries: where an event goes is the configuration of the service and not known to the database.
  routed_at timestamptz
);
CREATE INDEX outbox_unrouted ON outbox (created_at) WHERE routed_at IS NULL;
CREATE INDEX outbox_age ON outbox (created_at);

CREATE TABLE outbox_deliveries (
  event_id uuid NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
  kind text NOT NULL CHECK (kind IN ('webhook', 'mail')),
  -- A name of the webhook without its secrets, an address of an operator, or `account` for the owner's present address.
  destination text NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  -- When somebody may take it: a lease moves it into the future.
  due_at timestamptz NOT NULL,
  lease_id uuid,
  delivered_at timestamptz,
  given_up_at timestamptz,
  last_error text CHECK (length(last_error) <= 200),
  PRIMARY KEY (event_id, kind, destination),
  CONSTRAINT delivery_has_one_end CHECK (delivered_at IS NULL OR given_up_at IS NULL)
) WITH (fillfactor = 80);
CREATE INDEX outbox_deliveries_due ON outbox_deliveries (kind, destination, due_at)
  WHERE delivered_at IS NULL AND given_up_at IS NULL;
