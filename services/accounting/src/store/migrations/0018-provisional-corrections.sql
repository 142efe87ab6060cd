-- A hold that its lease has closed may be corrected by somebody who found its journal before its owner is heard again. That correction
-- is provisional: the owner knows what was produced, and has the last word.
ALTER TABLE streaming_sessions ADD COLUMN is_provisional boolean NOT NULL DEFAULT false;
ALTER TABLE streaming_sessions ADD CONSTRAINT provisional_is_corrected CHECK (NOT is_provisional OR corrected_at IS NOT NULL);

CREATE OR REPLACE FUNCTION keep_closed_hold() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  -- Late settlements may correct the charge, and only of a hold that its lease had closed: once for somebody else, once for its owner.
  v_late boolean := OLD.status = 'expired' AND NEW.corrected_at IS NOT NULL
    AND (OLD.corrected_at IS NULL OR (OLD.is_provisional AND NOT NEW.is_provisional));
BEGIN
  IF (NEW.status, NEW.closed_at, NEW.held_credits, NEW.released_credits, NEW.lapsed_credits, NEW.fence, NEW.close_key,
      NEW.close_hash, NEW.outcome, NEW.units, NEW.price_rule_id, NEW.user_id, NEW.available_after)
     IS DISTINCT FROM
     (OLD.status, OLD.closed_at, OLD.held_credits, OLD.released_credits, OLD.lapsed_credits, OLD.fence, OLD.close_key,
      OLD.close_hash, OLD.outcome, OLD.units, OLD.price_rule_id, OLD.user_id, OLD.available_after)
     OR (NOT v_late AND (NEW.charged_credits, NEW.overrun_credits, NEW.debt_credits, NEW.written_off_credits,
                         NEW.refunded_credits, NEW.corrected_at, NEW.is_provisional)
     IS DISTINCT FROM (OLD.charged_credits, OLD.overrun_credits, OLD.debt_credits, OLD.written_off_credits,
                       OLD.refunded_credits, OLD.corrected_at, OLD.is_provisional))
  THEN
    RAISE EXCEPTION 'hold % is closed (%) and is never changed', OLD.id, OLD.status USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
