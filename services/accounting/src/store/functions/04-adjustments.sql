-- Corrections of a balance by people.

CREATE TYPE adjustment_request AS (
  user_id text, target bigint, change bigint, largest_change bigint, expiry_days integer, actor text, reason text, request_id text
);

CREATE TYPE adjustment_answer AS (outcome text, user_id text, previous_credits bigint, new_credits bigint);

-- Changes what an account can spend by `change`, or to `target`. outcome: adjusted | unknown | negative | capped | too_much
CREATE FUNCTION adjust_credits(p adjustment_request) RETURNS adjustment_answer LANGUAGE plpgsql AS $$
DECLARE
  a user_accounts;
  v_answer adjustment_answer;
  v_now timestamptz;
  v_change bigint;
BEGIN
  IF num_nonnulls(p.change, p.target) <> 1 THEN
    RAISE EXCEPTION 'an adjustment needs either a change or a target' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT * INTO a FROM user_accounts WHERE id = p.user_id FOR NO KEY UPDATE;
  v_now := ledger_now();
  v_answer.user_id := p.user_id;
  v_answer.previous_credits := spendable_credits(p.user_id, v_now);
  v_change := coalesce(p.change, p.target - v_answer.previous_credits);
  v_answer.outcome := CASE
    WHEN a.id IS NULL THEN 'unknown'
    WHEN abs(v_change) > p.largest_change THEN 'capped'
    WHEN v_answer.previous_credits + v_change < 0 THEN 'negative'
    WHEN a.total_credits + v_change > 9007199254740991 THEN 'too_much'
    ELSE 'adjusted' END;
  IF v_answer.outcome = 'adjusted' AND v_change > 0 THEN
    PERFORM add_lot(
      ROW(p.user_id, 'adjustment', v_change, NULL, NULL, NULL, p.expiry_days, NULL, NULL, NULL, NULL, p.actor, p.reason, p.request_id)::lot_request,
      'adjustment', v_now);
  ELSIF v_answer.outcome = 'adjusted' AND v_change < 0 THEN
    PERFORM remove_from_lots(p.user_id, -v_change, v_now);
    PERFORM ledger_post(
      p.user_id, ROW('adjustment', NULL, NULL, NULL, p.actor, p.reason, p.request_id)::ledger_note, v_change, 0, 0,
      ARRAY['issuance:adjustment'], ARRAY[-v_change], v_now);
  END IF;
  v_answer.new_credits := spendable_credits(p.user_id, v_now);
  RETURN v_answer;
END $$;

CREATE FUNCTION remove_from_lots(p_user_id text, p_amount bigint, p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_lot record;
  v_left bigint := p_amount;
  v_part bigint;
BEGIN
  FOR v_lot IN
    SELECT id, remaining_credits FROM credit_allocations
    WHERE user_id = p_user_id AND remaining_credits > 0 AND effective_at <= p_now AND (expires_at IS NULL OR expires_at > p_now)
    ORDER BY priority, expires_at NULLS LAST, is_paid, effective_at, id
  LOOP
    EXIT WHEN v_left = 0;
    v_part := least(v_left, v_lot.remaining_credits);
    UPDATE credit_allocations SET remaining_credits = remaining_credits - v_part, revoked_credits = revoked_credits + v_part
      WHERE id = v_lot.id;
    v_left := v_left - v_part;
  END LOOP;
  IF v_left > 0 THEN
    RAISE EXCEPTION 'account % has % credits less on its lots than were to be removed', p_user_id, v_left;
  END IF;
END $$;
