-- Holds, under the name of the service document: credits reserved for one answer, until it is settled, voided or its lease ends.
-- active → settled | voided | expired, and never back. The row that a hold was closed with is its one terminal row.

CREATE TABLE streaming_sessions (
  id uuid PRIMARY KEY,
  tenant_id text NOT NULL DEFAULT 'default',
  user_id text NOT NULL REFERENCES user_accounts (id),
  -- `user` for a session that a user opened by itself, else the service that holds on the user's behalf.
  opened_by text NOT NULL,
  -- The label of such a session, in the user's own namespace.
  session_id text,
  -- Both null: voided before its request arrived.
  open_key text,
  open_hash text,
  upstream text,
  model text,
  chatflow_id text,
  workspace_id text,
  -- The price is pinned here; null only for a plain deduction.
  price_rule_id uuid,
  units jsonb NOT NULL DEFAULT '{}',
  clamped boolean NOT NULL DEFAULT false,
  metadata jsonb NOT NULL DEFAULT '{}',
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'settled', 'voided', 'expired')),
  held_credits credits NOT NULL,
  fence integer NOT NULL DEFAULT 1 CHECK (fence > 0),
  lease_expires_at timestamptz NOT NULL,
  -- Units produced so far, as the last renewal said.
  checkpoint jsonb,
  created_at timestamptz NOT NULL,

  closed_at timestamptz,
  close_key text,
  close_hash text,
  outcome text CHECK (outcome IN ('completed', 'failed', 'aborted', 'recovered')),
  charged_credits credits NOT NULL DEFAULT 0,
  released_credits credits NOT NULL DEFAULT 0,
  -- Not released but expired or revoked, because that happened to the lot while it was held.
  lapsed_credits credits NOT NULL DEFAULT 0,
  -- Parts of the charge that the hold did not cover: taken from the balance, owed by the user.
  overrun_credits credits NOT NULL DEFAULT 0,
  debt_credits credits NOT NULL DEFAULT 0,
  -- Not part of the charge: nobody pays it.
  written_off_credits credits NOT NULL DEFAULT 0,
  -- Part of an earlier charge that a late settlement gave back.
  refunded_credits credits NOT NULL DEFAULT 0,
  -- What a later settlement said beyond the charge, in credits; recorded, not moved.
  discrepancy_credits bigint,
  corrected_at timestamptz,
  -- As the closing call was answered, for its repetitions.
  available_after credits,

  CONSTRAINT hold_is_open_or_closed CHECK ((status = 'active') = (closed_at IS NULL)),
  CONSTRAINT open_hold_has_no_result CHECK (
    status <> 'active'
    OR charged_credits + released_credits + lapsed_credits + overrun_credits + debt_credits + written_off_credits
       + refunded_credits = 0
  ),
  -- Whatever was held is charged, released or lapsed; only overrun and debt go beyond it.
  CONSTRAINT hold_adds_up CHECK (
    status = 'active'
    OR charged_credits - overrun_credits - debt_credits + refunded_credits + released_credits + lapsed_credits = held_credits
  ),
  CONSTRAINT hold_was_asked_for CHECK (held_credits = 0 OR (open_key IS NOT NULL AND open_hash IS NOT NULL)),
  CONSTRAINT hold_pays_first CHECK (charged_credits + refunded_credits >= overrun_credits + debt_credits),
  UNIQUE (user_id, open_key)
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX streaming_sessions_label ON streaming_sessions (user_id, session_id) WHERE session_id IS NOT NULL;
CREATE INDEX streaming_sessions_due ON streaming_sessions (lease_expires_at) WHERE status = 'active';
CREATE INDEX streaming_sessions_open ON streaming_sessions (user_id, created_at) WHERE status = 'active';
CREATE INDEX streaming_sessions_recent ON streaming_sessions (created_at);
CREATE INDEX streaming_sessions_recent_of_user ON streaming_sessions (user_id, created_at);

-- Which lots a hold took its credits from, and what became of them.
CREATE TABLE hold_lots (
  hold_id uuid NOT NULL REFERENCES streaming_sessions (id),
  allocation_id bigint NOT NULL REFERENCES credit_allocations (id),
  held_credits credits NOT NULL,
  consumed_credits credits NOT NULL DEFAULT 0,
  PRIMARY KEY (hold_id, allocation_id)
);

CREATE FUNCTION keep_closed_hold() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  -- A late settlement may correct the charge once, and only of a hold that its lease had closed.
  v_late boolean := OLD.status = 'expired' AND OLD.corrected_at IS NULL AND NEW.corrected_at IS NOT NULL;
BEGIN
  IF (NEW.status, NEW.closed_at, NEW.held_credits, NEW.released_credits, NEW.lapsed_credits, NEW.fence, NEW.close_key,
      NEW.close_hash, NEW.outcome, NEW.units, NEW.price_rule_id, NEW.user_id, NEW.available_after)
     IS DISTINCT FROM
     (OLD.status, OLD.closed_at, OLD.held_credits, OLD.released_credits, OLD.lapsed_credits, OLD.fence, OLD.close_key,
      OLD.close_hash, OLD.outcome, OLD.units, OLD.price_rule_id, OLD.user_id, OLD.available_after)
     OR (NOT v_late AND (NEW.charged_credits, NEW.overrun_credits, NEW.debt_credits, NEW.written_off_credits,
                         NEW.refunded_credits, NEW.corrected_at)
     IS DISTINCT FROM (OLD.charged_credits, OLD.overrun_credits, OLD.debt_credits, OLD.written_off_credits,
                       OLD.refunded_credits, OLD.corrected_at))
  THEN
    RAISE EXCEPTION 'hold % is closed (%) and is never changed', OLD.id, OLD.status USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER closed_holds_stay BEFORE UPDATE ON streaming_sessions FOR EACH ROW
  WHEN (OLD.status <> 'active') EXECUTE FUNCTION keep_closed_hold();
CREATE TRIGGER holds_stay BEFORE DELETE ON streaming_sessions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER holds_stay_all BEFORE TRUNCATE ON streaming_sessions EXECUTE FUNCTION refuse_change();
CREATE TRIGGER hold_lots_stay BEFORE DELETE ON hold_lots FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER hold_lots_stay_all BEFORE TRUNCATE ON hold_lots EXECUTE FUNCTION refuse_change();
