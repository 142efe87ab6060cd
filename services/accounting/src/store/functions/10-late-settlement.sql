-- What is said about a hold after it was closed.
-- The answer is always the final state. Only a hold that its lease had closed is corrected, once, by its owner's late settlement:
-- what was charged too much is refunded, what was charged too little is taken as far as the balance goes. A hold that its owner
-- had closed is never moved again; another amount is recorded as a discrepancy.

CREATE FUNCTION close_again(h streaming_sessions, p close_request, p_now timestamptz) RETURNS hold_answer LANGUAGE plpgsql AS $$
DECLARE
  v_difference bigint := p.charge - h.charged_credits - h.written_off_credits;
  v_charged bigint;
BEGIN
  IF p.close_key = h.close_key THEN
    RETURN ROW(CASE WHEN p.close_hash = h.close_hash THEN 'same' ELSE 'mismatch' END, NULL, to_jsonb(h))::hold_answer;
  END IF;
  IF p.cause = 'settle' AND v_difference <> 0 THEN
    IF h.status = 'expired' AND h.corrected_at IS NULL THEN
      v_charged := h.charged_credits;
      h := CASE WHEN v_difference > 0 THEN charge_late(h, p, v_difference, p_now) ELSE refund_late(h, p, p_now) END;
      PERFORM use_counts(
        h.limit_counts, h.charged_credits - v_charged, tokens_of(p.units) - tokens_of(coalesce(h.checkpoint, '{}')), 0);
    ELSIF h.discrepancy_credits IS NULL THEN
      UPDATE streaming_sessions SET discrepancy_credits = v_difference WHERE id = h.id RETURNING * INTO h;
    END IF;
  END IF;
  RETURN ROW('final', spendable_credits(h.payer_id, p_now), to_jsonb(h))::hold_answer;
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
    discrepancy_credits = nullif(v_short, 0), corrected_at = p_now
    WHERE id = h.id RETURNING * INTO h;
  RETURN h;
END $$;

-- Back to the lots it came from, last burnt first; for lots that have lapsed one new lot with seven days of grace.
CREATE FUNCTION refund_late(h streaming_sessions, p close_request, p_now timestamptz) RETURNS streaming_sessions LANGUAGE plpgsql AS $$
DECLARE
  v_refund bigint := greatest(h.charged_credits - p.charge, 0);
  v_owed bigint;
  v_left bigint;
  v_part bigint;
  v_lapsed bigint := 0;
  l record;
BEGIN
  SELECT least(v_refund, h.debt_credits, debt_credits) INTO v_owed FROM user_accounts WHERE id = h.payer_id;
  v_left := v_refund - v_owed;
  FOR l IN
    SELECT a.id, t.consumed_credits AS consumed, a.voided_at IS NOT NULL OR a.expires_at <= p_now IS TRUE AS is_over
    FROM hold_lots t JOIN credit_allocations a ON a.id = t.allocation_id
    WHERE t.hold_id = h.id AND t.consumed_credits > 0
    ORDER BY a.priority DESC, a.expires_at DESC NULLS FIRST, a.is_paid DESC, a.effective_at DESC, a.id DESC
  LOOP
    EXIT WHEN v_left = 0;
    v_part := least(v_left, l.consumed);
    v_left := v_left - v_part;
    IF l.is_over THEN
      v_lapsed := v_lapsed + v_part;
    ELSE
      UPDATE credit_allocations SET consumed_credits = consumed_credits - v_part, remaining_credits = remaining_credits + v_part
        WHERE id = l.id;
      UPDATE hold_lots SET consumed_credits = consumed_credits - v_part WHERE hold_id = h.id AND allocation_id = l.id;
    END IF;
  END LOOP;
  v_lapsed := v_lapsed + v_left;
  IF v_lapsed > 0 THEN
    INSERT INTO credit_allocations (
      tenant_id, user_id, source, total_credits, remaining_credits, effective_at, expires_at, allocated_by, notes, allocated_at
    ) VALUES (
      h.tenant_id, h.payer_id, 'refund', v_lapsed, v_lapsed, p_now, p_now + interval '168 hours', 'system',
      'Refund of hold ' || h.id || ', whose lots have lapsed', p_now);
  END IF;
  IF v_refund > 0 THEN
    PERFORM ledger_post(
      h.payer_id, ROW('refund', h.id, NULL, closing_transaction(h.id), p.actor, p.reason, p.request_id)::ledger_note,
      v_refund - v_owed, 0, -v_owed, ARRAY['revenue'], ARRAY[-v_refund], p_now);
    PERFORM log_hold_usage(h, p, -v_refund, 0, p_now);
  END IF;
  UPDATE streaming_sessions SET
    charged_credits = charged_credits - v_refund, refunded_credits = v_refund, corrected_at = p_now
    WHERE id = h.id RETURNING * INTO h;
  RETURN h;
END $$;
