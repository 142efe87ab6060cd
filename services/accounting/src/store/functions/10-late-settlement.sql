-- What is said about a hold after it was closed.
-- The answer is always the final state. Only a hold that its lease had closed is corrected, once, by its owner's late settlement:
-- what was charged too much is refunded, what was charged too little is taken as far as the balance goes. Who has found the journal
-- of an owner that is silent (outcome `recovered`) may do so before: the owner, who may only have been slow, still has the last word.
-- A hold that its owner had closed is never moved again; another amount is recorded as a discrepancy.

CREATE FUNCTION close_again(h streaming_sessions, p close_request, p_now timestamptz) RETURNS hold_answer LANGUAGE plpgsql AS $$
DECLARE
  v_difference bigint := p.charge - h.charged_credits - h.written_off_credits;
  v_is_provisional boolean := p.outcome IS NOT DISTINCT FROM 'recovered';
  v_charged bigint;
  v_tokens bigint;
BEGIN
  IF p.close_key = h.close_key THEN
    RETURN ROW(CASE WHEN p.close_hash = h.close_hash THEN 'same' ELSE 'mismatch' END, NULL, tell_hold(h))::hold_answer;
  END IF;
  IF p.cause = 'settle' AND v_difference <> 0 THEN
    IF h.status = 'expired' AND (h.corrected_at IS NULL OR (h.is_provisional AND NOT v_is_provisional)) THEN
      v_charged := h.charged_credits;
      v_tokens := tokens_of(booked_units(h));
      h := CASE WHEN v_difference > 0 THEN charge_late(h, p, v_difference, p_now) ELSE refund_late(h, p, p_now) END;
      PERFORM use_counts(
        h.limit_counts, h.charged_credits - v_charged, tokens_of(p.units) - v_tokens, 0);
    ELSIF h.discrepancy_credits IS NULL THEN
      UPDATE streaming_sessions SET discrepancy_credits = v_difference WHERE id = h.id RETURNING * INTO h;
    END IF;
  END IF;
  RETURN ROW('final', spendable_credits(h.payer_id, p_now), tell_hold(h))::hold_answer;
END $$;

-- What the hold was last charged for.
CREATE FUNCTION booked_units(h streaming_sessions) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN coalesce(
    (SELECT units FROM usage_logs WHERE hold_id = h.id AND is_correction AND units IS NOT NULL AND h.is_provisional), h.checkpoint, '{}');
END $$;

-- The transaction that closed a hold.
CREATE FUNCTION closing_transaction(p_hold_id uuid) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT id FROM credit_transactions WHERE hold_id = p_hold_id AND type IN ('settle', 'void') ORDER BY id DESC LIMIT 1);
END $$;

CREATE FUNCTION charge_late(h streaming_sessions, p close_request, p_missing bigint, p_now timestamptz)
RETURNS streaming_sessions LANGUAGE plpgsql AS $$
DECLARE
  v_plan lot_plan := plan_lots(h.payer_id, p_missing, h.upstream, h.model, h.workspace_id, p_now);
  v_short bigint := p_missing - v_plan.total;
  v_debt bigint := CASE p.policy WHEN 'debt' THEN v_short ELSE 0 END;
BEGIN
  PERFORM take_lots(h.id, v_plan, true);
  PERFORM ledger_post(
    h.payer_id, ROW('late_settle', h.id, NULL, closing_transaction(h.id), p.actor, p.reason, p.request_id)::ledger_note,
    -v_plan.total, 0, v_debt, ARRAY['revenue', 'writeoff'], ARRAY[p_missing, v_debt - v_short], p_now);
  PERFORM log_hold_usage(h, p, v_plan.total + v_debt, v_short - v_debt, p_now);
  UPDATE streaming_sessions SET
    charged_credits = charged_credits + v_plan.total + v_debt, overrun_credits = overrun_credits + v_plan.total,
    debt_credits = debt_credits + v_debt, written_off_credits = written_off_credits + v_short - v_debt,
    discrepancy_credits = nullif(v_short, 0), corrected_at = p_now, is_provisional = p.outcome IS NOT DISTINCT FROM 'recovered'
    WHERE id = h.id RETURNING * INTO h;
  IF v_short > 0 THEN
    PERFORM tell_overrun(h, p.request_id, p_now);
  END IF;
  RETURN h;
END $$;

-- What people gave back in the meantime is not given back again.
CREATE FUNCTION refund_late(h streaming_sessions, p close_request, p_now timestamptz) RETURNS streaming_sessions LANGUAGE plpgsql AS $$
DECLARE
  v_refund bigint := greatest(h.charged_credits - refunded_by_people(h.id) - p.charge, 0);
BEGIN
  IF v_refund > 0 THEN
    PERFORM return_charge(
      h, v_refund, true, ROW('refund', h.id, NULL, closing_transaction(h.id), p.actor, p.reason, p.request_id)::ledger_note, p_now);
    PERFORM log_hold_usage(h, p, -v_refund, 0, p_now);
  END IF;
  UPDATE streaming_sessions SET
    charged_credits = charged_credits - v_refund, refunded_credits = refunded_credits + v_refund, corrected_at = p_now,
    is_provisional = p.outcome IS NOT DISTINCT FROM 'recovered'
    WHERE id = h.id RETURNING * INTO h;
  RETURN h;
END $$;
