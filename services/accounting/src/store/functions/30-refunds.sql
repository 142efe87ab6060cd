-- Giving back what was charged: by a late settlement (09) or by people.

-- What people have given back of a hold so far. The account is locked.
CREATE FUNCTION refunded_by_people(p_hold_id uuid) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(sum(credits), 0) FROM refunds WHERE hold_id = p_hold_id);
END $$;

-- over: what no lot could take, because it has lapsed, was revoked, or never gave it; issuers, revoked: what went back to them;
-- orders, written_off, recalled: parts of that which belong to a payment that went back.
CREATE TYPE returned_lots AS (over bigint, issuers text[], revoked bigint[], orders uuid[], written_off bigint[], recalled bigint[]);

-- Where a part of what a lot has paid goes: what nobody had paid for and what is still to be recalled goes to the issuer, and so does
-- the rest of a lot whose money is gone, as it does when a hold is released in time; but not what its user has paid for.
CREATE TYPE lot_return AS (written_off bigint, recalled bigint, revoked bigint, over bigint);

CREATE FUNCTION split_return(l credit_allocations, o topup_orders, p_part bigint, p_is_late boolean, p_now timestamptz) RETURNS lot_return
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  v lot_return;
  v_left bigint;
BEGIN
  v.written_off := least(p_part, coalesce(o.written_off_credits, 0));
  v_left := p_part - v.written_off;
  v.recalled := CASE WHEN l.voided_at IS NULL THEN least(v_left, l.recall_credits) ELSE 0 END;
  v_left := v_left - v.recalled;
  v.revoked := CASE WHEN l.voided_at IS NOT NULL AND (p_is_late OR o.state IN ('refunded', 'charged_back') IS TRUE)
    THEN greatest(v_left - coalesce(o.shortfall_credits - o.written_off_credits, 0), 0) ELSE 0 END;
  v.over := CASE WHEN l.voided_at IS NOT NULL OR l.expires_at <= p_now IS TRUE THEN v_left - v.revoked ELSE 0 END;
  RETURN v;
END $$;

-- Gives credits of a hold back to the lots they came from, last burnt first. p_is_late: what came from a revoked lot goes back to its
-- issuer, as it does when a hold is released in time.
CREATE FUNCTION return_to_lots(p_hold_id uuid, p_amount bigint, p_is_late boolean, p_now timestamptz) RETURNS returned_lots
LANGUAGE plpgsql AS $$
DECLARE
  v returned_lots := ROW(0, '{}'::text[], '{}'::bigint[], '{}'::uuid[], '{}'::bigint[], '{}'::bigint[]);
  v_left bigint := p_amount;
  v_part bigint;
  v_to lot_return;
  v_issuer bigint;
  r record;
BEGIN
  FOR r IN
    SELECT a AS lot, o AS topup, t.consumed_credits AS consumed
    FROM hold_lots t JOIN credit_allocations a ON a.id = t.allocation_id
    LEFT JOIN topup_orders o ON o.user_id = a.user_id AND o.allocation_id = a.id
    WHERE t.hold_id = p_hold_id AND t.consumed_credits > 0
    ORDER BY a.priority DESC, a.expires_at DESC NULLS FIRST, a.is_paid DESC, a.effective_at DESC, a.id DESC
  LOOP
    EXIT WHEN v_left = 0;
    v_part := least(v_left, r.consumed);
    v_left := v_left - v_part;
    v_to := split_return(r.lot, r.topup, v_part, p_is_late, p_now);
    v_issuer := v_to.written_off + v_to.recalled + v_to.revoked;
    UPDATE credit_allocations SET
      consumed_credits = consumed_credits - (v_part - v_to.over), revoked_credits = revoked_credits + v_issuer,
      recall_credits = recall_credits - v_to.recalled, remaining_credits = remaining_credits + v_part - v_to.over - v_issuer
      WHERE id = (r.lot).id;
    v.over := v.over + v_to.over;
    v.issuers := v.issuers || ('issuance:' || (r.lot).source);
    v.revoked := v.revoked || v_issuer;
    IF v_to.written_off + v_to.recalled > 0 THEN
      v.orders := v.orders || (r.topup).id;
      v.written_off := v.written_off || v_to.written_off;
      v.recalled := v.recalled || v_to.recalled;
    END IF;
    -- Given back once, wherever it went.
    UPDATE hold_lots SET consumed_credits = consumed_credits - v_part WHERE hold_id = p_hold_id AND allocation_id = (r.lot).id;
  END LOOP;
  v.over := v.over + v_left;
  RETURN v;
END $$;

CREATE TYPE returned_charge AS (
  transaction_id bigint, debt_repaid bigint, lapsed_credits bigint, allocation_id bigint, expires_at timestamptz
);

-- Books a refund on a locked account: a debt is repaid first, the rest goes back to the lots of the hold, and for those that are
-- over there is one new lot. What nobody paid for is given to nobody. How long that lives is a setting of every connection (REFUND_GRACE).
CREATE FUNCTION return_charge(h streaming_sessions, p_amount bigint, p_is_late boolean, p_note ledger_note, p_now timestamptz)
RETURNS returned_charge LANGUAGE plpgsql AS $$
DECLARE
  v returned_charge;
  v_back returned_lots;
BEGIN
  SELECT least(p_amount, debt_credits) INTO STRICT v.debt_repaid FROM user_accounts WHERE id = h.payer_id;
  v_back := return_to_lots(h.id, p_amount - v.debt_repaid, p_is_late, p_now);
  v.lapsed_credits := v_back.over;
  IF v.lapsed_credits > 0 THEN
    INSERT INTO credit_allocations (
      tenant_id, user_id, source, total_credits, remaining_credits, effective_at, expires_at, allocated_by, notes, allocated_at
    ) VALUES (
      h.tenant_id, h.payer_id, 'refund', v.lapsed_credits, v.lapsed_credits, p_now,
      p_now + coalesce(nullif(current_setting('tollgate.refund_grace', true), ''), '168 hours')::interval, p_note.actor,
      'Refund of hold ' || h.id || ', whose lots have lapsed', p_now
    ) RETURNING id, expires_at INTO v.allocation_id, v.expires_at;
  END IF;
  v.transaction_id := ledger_post(
    h.payer_id, p_note, p_amount - v.debt_repaid - (SELECT coalesce(sum(r), 0) FROM unnest(v_back.revoked) r)::bigint, 0, -v.debt_repaid,
    ARRAY['revenue'] || v_back.issuers, ARRAY[-p_amount] || v_back.revoked, p_now);
  PERFORM take_back_returned(v_back, p_note, p_now);
  RETURN v;
END $$;

CREATE TYPE refund_request AS (
  -- Either the hold, or a transaction that charged it.
  hold_id uuid, transaction_id bigint, credits bigint, actor text, reason text, request_id text
);

CREATE TYPE refund_answer AS (
  outcome text, refund_id bigint, hold_id uuid, user_id text, refundable_credits bigint, available_credits bigint,
  transaction_id bigint, debt_repaid bigint, lapsed_credits bigint, allocation_id bigint, expires_at timestamptz
);

-- Gives back part of a charge, together never more than was charged. outcome: refunded | unknown | excess (refundable_credits is left)
CREATE FUNCTION refund_credits(p refund_request) RETURNS refund_answer LANGUAGE plpgsql AS $$
DECLARE
  a refund_answer;
  h streaming_sessions;
  v returned_charge;
  v_now timestamptz;
  v_payer text;
BEGIN
  SELECT s.id, s.user_id, s.payer_id INTO a.hold_id, a.user_id, v_payer FROM streaming_sessions s WHERE s.id = coalesce(p.hold_id, (
    SELECT t.hold_id FROM credit_transactions t WHERE t.id = p.transaction_id AND t.type IN ('settle', 'late_settle')));
  PERFORM FROM user_accounts WHERE id = v_payer FOR NO KEY UPDATE;
  SELECT * INTO h FROM streaming_sessions WHERE id = a.hold_id AND status <> 'active';
  IF NOT FOUND THEN
    a.outcome := 'unknown';
    RETURN a;
  END IF;
  v_now := ledger_now();
  a.refundable_credits := h.charged_credits - refunded_by_people(h.id);
  IF p.credits > a.refundable_credits THEN
    a.outcome := 'excess';
    RETURN a;
  END IF;
  v := return_charge(
    h, p.credits, false, ROW('refund', h.id, NULL, closing_transaction(h.id), p.actor, p.reason, p.request_id)::ledger_note, v_now);
  INSERT INTO refunds (
    tenant_id, user_id, hold_id, credits, debt_repaid, lapsed_credits, allocation_id, transaction_id, actor, reason, request_id, created_at
  ) VALUES (
    h.tenant_id, h.user_id, h.id, p.credits, v.debt_repaid, v.lapsed_credits, v.allocation_id, v.transaction_id, p.actor, p.reason,
    p.request_id, v_now
  ) RETURNING id INTO a.refund_id;
  -- The budgets of the window it was spent in get it back as well.
  IF h.limit_counts IS NOT NULL THEN
    PERFORM lock_counters_of(ARRAY[h.id]);
    PERFORM use_counts(h.limit_counts, -p.credits, 0, 0);
  END IF;
  PERFORM log_refund(h, p, v_now);
  a.outcome := 'refunded';
  a.refundable_credits := a.refundable_credits - p.credits;
  a.available_credits := spendable_credits(h.payer_id, v_now);
  SELECT v.transaction_id, v.debt_repaid, v.lapsed_credits, v.allocation_id, v.expires_at
    INTO a.transaction_id, a.debt_repaid, a.lapsed_credits, a.allocation_id, a.expires_at;
  RETURN a;
END $$;

-- The correction in the log of usage, under the labels of what it corrects.
CREATE FUNCTION log_refund(h streaming_sessions, p refund_request, p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_logs (
    tenant_id, user_id, payer_id, service, operation, credits, hold_id, is_correction, upstream, model, chatflow_id, workspace_id,
    api_key_id, reason, price_rule_id, metadata, "timestamp"
  ) SELECT u.tenant_id, u.user_id, u.payer_id, u.service, 'refund', -p.credits, h.id, true, u.upstream, u.model, u.chatflow_id,
           u.workspace_id, u.api_key_id, p.reason, u.price_rule_id, u.metadata, p_now
    FROM usage_logs u WHERE u.hold_id = h.id AND NOT u.is_correction;
END $$;

-- Together more than the charge, or not what their transactions say.
CREATE VIEW verify_refunds AS
  SELECT r.hold_id, h.user_id, h.charged_credits, sum(r.credits) AS refunds, coalesce(-sum(e.amount), 0) AS revenue_back
  FROM refunds r JOIN streaming_sessions h ON h.id = r.hold_id
  LEFT JOIN credit_entries e ON e.transaction_id = r.transaction_id AND e.account = 'revenue'
  GROUP BY r.hold_id, h.user_id, h.charged_credits
  HAVING sum(r.credits) > h.charged_credits OR sum(r.credits) <> coalesce(-sum(e.amount), 0);
