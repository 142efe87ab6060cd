-- Opening, extending and renewing holds. Each *_hold function serves one request; the *_holds functions take an array of them
-- and lock all accounts, then all holds, in the order of their ids, so that two batches never wait for each other.

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

CREATE TYPE hold_answer AS (outcome text, available_credits bigint, hold jsonb);

CREATE TYPE hold_request AS (
  hold_id uuid, claims account_claims, opened_by text, session_id text, open_key text, open_hash text,
  upstream text, model text, chatflow_id text, workspace_id text, price_rule_id uuid, units jsonb, metadata jsonb,
  -- The charge as a line over the output units: ceil(greatest(flat, base + output * slope) / divisor). See domain/charge-line.ts.
  flat numeric, base numeric, slope numeric, divisor numeric, output bigint, min_output bigint,
  lease_seconds integer, actor text, request_id text
);

CREATE FUNCTION line_charge(p hold_request, p_output bigint) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN div(greatest(p.flat, p.base + p_output * p.slope) + p.divisor - 1, p.divisor);
END $$;

-- The most output that p_available pays for, or null when that is less than the least that is worth having.
CREATE FUNCTION affordable_output(p hold_request, p_available bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  v_budget numeric := p_available * p.divisor;
  v_output numeric := least(p.output, div(v_budget - p.base, nullif(p.slope, 0)));
BEGIN
  RETURN CASE WHEN p.slope > 0 AND p.flat <= v_budget AND v_output >= p.min_output THEN v_output END;
END $$;

-- outcome: opened | replayed | closed (with its result) | mismatch (id or key was used for another request) | short
CREATE FUNCTION open_hold(p hold_request) RETURNS hold_answer LANGUAGE plpgsql AS $$
DECLARE
  v_account user_accounts := lock_account(p.claims);
  v_hold streaming_sessions;
  v_now timestamptz := ledger_now();
  v_cost numeric := line_charge(p, p.output);
  v_units jsonb := p.units;
  v_plan lot_plan;
BEGIN
  SELECT * INTO v_hold FROM streaming_sessions WHERE id = p.hold_id;
  IF NOT FOUND AND p.session_id IS NOT NULL THEN
    SELECT * INTO v_hold FROM streaming_sessions WHERE user_id = (p.claims).id AND session_id = p.session_id;
  END IF;
  IF v_hold.id IS NOT NULL THEN
    RETURN ROW(
      CASE WHEN v_hold.user_id <> (p.claims).id OR v_hold.open_hash <> p.open_hash THEN 'mismatch'
           WHEN v_hold.status = 'active' THEN 'replayed' ELSE 'closed' END,
      spendable_credits((p.claims).id, v_now), to_jsonb(v_hold))::hold_answer;
  END IF;

  v_plan := plan_lots((p.claims).id, least(v_cost, 9007199254740991)::bigint, p.upstream, p.model, p.workspace_id, v_now);
  IF v_plan.total < v_cost THEN
    v_units := jsonb_set(p.units, '{output}', to_jsonb(affordable_output(p, v_plan.total)));
    IF v_units IS NULL THEN
      RETURN ROW('short', v_plan.total, NULL)::hold_answer;
    END IF;
    v_cost := line_charge(p, (v_units ->> 'output')::bigint);
    v_plan := plan_lots((p.claims).id, v_cost::bigint, p.upstream, p.model, p.workspace_id, v_now);
  END IF;

  INSERT INTO streaming_sessions AS s (
    id, tenant_id, user_id, opened_by, session_id, open_key, open_hash, upstream, model, chatflow_id, workspace_id,
    price_rule_id, units, clamped, metadata, held_credits, lease_expires_at, created_at
  ) VALUES (
    p.hold_id, v_account.tenant_id, (p.claims).id, p.opened_by, p.session_id, p.open_key, p.open_hash, p.upstream, p.model,
    p.chatflow_id, p.workspace_id, p.price_rule_id, v_units, v_units <> p.units, coalesce(p.metadata, '{}'), v_cost::bigint,
    v_now + make_interval(secs => p.lease_seconds), v_now
  ) ON CONFLICT DO NOTHING RETURNING * INTO v_hold;
  IF NOT FOUND THEN
    RETURN ROW('mismatch', NULL, NULL)::hold_answer;
  END IF;
  PERFORM take_lots(p.hold_id, v_plan, false);
  IF v_cost > 0 THEN
    PERFORM ledger_post(
      (p.claims).id, ROW('hold', p.hold_id, NULL, NULL, p.actor, NULL, p.request_id)::ledger_note, -v_cost::bigint, v_cost::bigint, 0,
      '{}', '{}', v_now);
  END IF;
  RETURN ROW('opened', spendable_credits((p.claims).id, v_now), to_jsonb(v_hold))::hold_answer;
END $$;

CREATE FUNCTION open_holds(p_items jsonb) RETURNS SETOF hold_answer LANGUAGE plpgsql AS $$
DECLARE
  r hold_request;
BEGIN
  IF jsonb_array_length(p_items) > 1 THEN
    PERFORM FROM user_accounts WHERE id IN (SELECT i -> 'claims' ->> 'id' FROM jsonb_array_elements(p_items) i) ORDER BY id FOR UPDATE;
  END IF;
  FOR r IN SELECT * FROM jsonb_populate_recordset(NULL::hold_request, p_items) LOOP
    RETURN NEXT open_hold(r);
  END LOOP;
END $$;

CREATE TYPE extension_request AS (
  hold_id uuid, user_id text, fence integer, charge bigint, units jsonb, actor text, request_id text
);

-- Raises a hold to `charge`: the whole difference or nothing. outcome: extended | closed | fenced | unknown | short
CREATE FUNCTION extend_hold(p extension_request) RETURNS hold_answer LANGUAGE plpgsql AS $$
DECLARE
  v_hold streaming_sessions;
  v_now timestamptz;
  v_more bigint;
  v_plan lot_plan;
BEGIN
  PERFORM FROM user_accounts WHERE id = p.user_id FOR UPDATE;
  SELECT * INTO v_hold FROM streaming_sessions WHERE id = p.hold_id AND user_id = p.user_id FOR UPDATE;
  v_now := ledger_now();
  IF v_hold.id IS NULL OR v_hold.status <> 'active' OR p.fence < v_hold.fence THEN
    RETURN ROW(
      CASE WHEN v_hold.id IS NULL THEN 'unknown' WHEN v_hold.status <> 'active' THEN 'closed' ELSE 'fenced' END,
      spendable_credits(p.user_id, v_now), to_jsonb(v_hold))::hold_answer;
  END IF;
  v_more := greatest(p.charge - v_hold.held_credits, 0);
  v_plan := plan_lots(p.user_id, v_more, v_hold.upstream, v_hold.model, v_hold.workspace_id, v_now);
  IF v_plan.total < v_more THEN
    RETURN ROW('short', v_plan.total, to_jsonb(v_hold))::hold_answer;
  END IF;
  IF v_more > 0 THEN
    PERFORM take_lots(p.hold_id, v_plan, false);
    UPDATE streaming_sessions SET held_credits = held_credits + v_more, units = p.units WHERE id = p.hold_id RETURNING * INTO v_hold;
    PERFORM ledger_post(
      p.user_id, ROW('extend', p.hold_id, NULL, NULL, p.actor, NULL, p.request_id)::ledger_note, -v_more, v_more, 0, '{}', '{}', v_now);
  END IF;
  RETURN ROW('extended', spendable_credits(p.user_id, v_now), to_jsonb(v_hold))::hold_answer;
END $$;

CREATE TYPE renewal AS (hold_id uuid, user_id text, fence integer, checkpoint jsonb);
CREATE TYPE renewal_answer AS (hold_id uuid, outcome text, lease_expires_at timestamptz);

-- outcome: renewed | closed | fenced | unknown. user_id null: any user's hold. A higher fence takes the hold over.
CREATE FUNCTION renew_holds(p_items jsonb, p_lease_seconds integer) RETURNS SETOF renewal_answer LANGUAGE plpgsql AS $$
DECLARE
  r renewal;
  v_hold streaming_sessions;
  v_lease timestamptz;
BEGIN
  FOR r IN SELECT * FROM jsonb_populate_recordset(NULL::renewal, p_items) ORDER BY 1 LOOP
    UPDATE streaming_sessions SET
      lease_expires_at = ledger_now() + make_interval(secs => p_lease_seconds), fence = r.fence,
      checkpoint = coalesce(r.checkpoint, checkpoint)
      WHERE id = r.hold_id AND status = 'active' AND fence <= r.fence AND (r.user_id IS NULL OR user_id = r.user_id)
      RETURNING lease_expires_at INTO v_lease;
    IF FOUND THEN
      RETURN NEXT ROW(r.hold_id, 'renewed', v_lease)::renewal_answer;
    ELSE
      SELECT * INTO v_hold FROM streaming_sessions WHERE id = r.hold_id AND (r.user_id IS NULL OR user_id = r.user_id);
      RETURN NEXT ROW(
        r.hold_id,
        CASE WHEN NOT FOUND THEN 'unknown' WHEN v_hold.status <> 'active' THEN 'closed' ELSE 'fenced' END,
        NULL)::renewal_answer;
    END IF;
  END LOOP;
END $$;
