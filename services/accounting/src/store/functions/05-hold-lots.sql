-- Which lots pay for a hold, in burn order (credits.md).

CREATE TYPE lot_plan AS (lot_ids bigint[], amounts bigint[], total bigint);

-- Which lots would pay p_amount, in burn order; total < p_amount when they do not cover it. The caller has locked the account.
CREATE FUNCTION plan_lots(p_user_id text, p_amount bigint, p_upstream text, p_model text, p_workspace_id text, p_now timestamptz)
RETURNS lot_plan LANGUAGE plpgsql AS $$
DECLARE
  v_plan lot_plan := ROW('{}'::bigint[], '{}'::bigint[], 0);
  v_lot record;
BEGIN
  IF p_amount = 0 THEN
    RETURN v_plan;
  END IF;
  FOR v_lot IN
    SELECT id, remaining_credits FROM credit_allocations
    WHERE user_id = p_user_id AND remaining_credits > 0 AND effective_at <= p_now AND (expires_at IS NULL OR expires_at > p_now)
      AND (models IS NULL OR p_model = ANY (models)) AND (upstreams IS NULL OR p_upstream = ANY (upstreams))
      AND (workspace_id IS NULL OR workspace_id = p_workspace_id)
    ORDER BY priority, expires_at NULLS LAST, is_paid, effective_at, id
  LOOP
    v_plan.lot_ids := v_plan.lot_ids || v_lot.id;
    v_plan.amounts := v_plan.amounts || least(v_lot.remaining_credits, p_amount - v_plan.total);
    v_plan.total := v_plan.total + least(v_lot.remaining_credits, p_amount - v_plan.total);
    EXIT WHEN v_plan.total = p_amount;
  END LOOP;
  RETURN v_plan;
END $$;

-- Moves a plan's credits from remaining to held (p_consume false) or consumed, and notes them on the hold.
CREATE FUNCTION take_lots(p_hold_id uuid, p_plan lot_plan, p_consume boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF p_plan.total = 0 THEN
    RETURN;
  END IF;
  UPDATE credit_allocations l SET
    remaining_credits = l.remaining_credits - t.amount,
    held_credits = l.held_credits + CASE WHEN p_consume THEN 0 ELSE t.amount END,
    consumed_credits = l.consumed_credits + CASE WHEN p_consume THEN t.amount ELSE 0 END
    FROM unnest(p_plan.lot_ids, p_plan.amounts) AS t (id, amount) WHERE l.id = t.id;
  INSERT INTO hold_lots AS h (hold_id, allocation_id, held_credits, consumed_credits)
    SELECT p_hold_id, t.id, CASE WHEN p_consume THEN 0 ELSE t.amount END, CASE WHEN p_consume THEN t.amount ELSE 0 END
    FROM unnest(p_plan.lot_ids, p_plan.amounts) AS t (id, amount)
    ON CONFLICT (hold_id, allocation_id) DO UPDATE SET
      held_credits = h.held_credits + excluded.held_credits, consumed_credits = h.consumed_credits + excluded.consumed_credits;
END $$;

-- recalled_lots: those whose money has gone back (recall_credits), with what was released and taken for it, and what was used instead.
CREATE TYPE released_lots AS (
  used bigint, released bigint, expired bigint, issuers text[], revoked bigint[],
  recalled_lots bigint[], taken_back bigint[], short bigint[]
);

-- Charges up to p_charge to the lots of a hold, in burn order, and gives the rest back: to the lot itself, or to `expired` when the
-- lot lapsed, or to its issuer when it was revoked while it was held, or as far as its money has gone back.
CREATE FUNCTION release_lots(p_hold_id uuid, p_charge bigint, p_now timestamptz) RETURNS released_lots LANGUAGE plpgsql AS $$
DECLARE
  v released_lots := ROW(0, 0, 0, '{}'::text[], '{}'::bigint[], '{}'::bigint[], '{}'::bigint[], '{}'::bigint[]);
  l record;
  v_used bigint;
  v_rest bigint;
  v_recalled bigint;
  -- What other holds may still release for it.
  v_recall bigint;
BEGIN
  FOR l IN
    SELECT a.id, t.held_credits AS held, a.held_credits AS held_of_all, a.recall_credits AS recall, a.source, a.voided_at IS NOT NULL AS is_revoked,
           a.voided_at IS NULL AND a.expires_at <= p_now IS TRUE AS is_expired
    FROM hold_lots t JOIN credit_allocations a ON a.id = t.allocation_id
    WHERE t.hold_id = p_hold_id
    ORDER BY a.priority, a.expires_at NULLS LAST, a.is_paid, a.effective_at, a.id
  LOOP
    v_used := least(l.held, p_charge - v.used);
    v_rest := l.held - v_used;
    v_recalled := least(v_rest, l.recall);
    v_recall := least(l.recall - v_recalled, l.held_of_all - l.held);
    IF l.recall > 0 THEN
      v.recalled_lots := v.recalled_lots || l.id;
      v.taken_back := v.taken_back || v_recalled;
      v.short := v.short || (l.recall - v_recalled - v_recall);
    END IF;
    v_rest := v_rest - v_recalled;
    UPDATE credit_allocations SET
      held_credits = held_credits - l.held,
      consumed_credits = consumed_credits + v_used,
      recall_credits = v_recall,
      revoked_credits = revoked_credits + v_recalled + CASE WHEN l.is_revoked THEN v_rest ELSE 0 END,
      expired_credits = expired_credits + CASE WHEN l.is_expired THEN v_rest ELSE 0 END,
      remaining_credits = remaining_credits + CASE WHEN l.is_revoked OR l.is_expired THEN 0 ELSE v_rest END
      WHERE id = l.id;
    IF v_used > 0 THEN
      UPDATE hold_lots SET consumed_credits = consumed_credits + v_used WHERE hold_id = p_hold_id AND allocation_id = l.id;
    END IF;
    v.used := v.used + v_used;
    IF l.is_revoked OR v_recalled > 0 THEN
      v.issuers := v.issuers || ('issuance:' || l.source);
      v.revoked := v.revoked || v_recalled + CASE WHEN l.is_revoked THEN v_rest ELSE 0 END;
    END IF;
    IF l.is_revoked THEN
      CONTINUE;
    ELSIF l.is_expired THEN
      v.expired := v.expired + v_rest;
    ELSE
      v.released := v.released + v_rest;
    END IF;
  END LOOP;
  RETURN v;
END $$;
