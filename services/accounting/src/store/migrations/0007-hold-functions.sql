-- Opening, extending and renewing holds. Each *_hold function serves one request; the *_holds functions take an array of them
-- and lock all accounts, then all holds, in the order of their ids, so that two batches never wait for each other. Unless p_wait,
-- they answer `busy` for an account that somebody else has locked (or that is new), so that it does not keep strangers waiting.

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

-- A charge over the output units: ceil(greatest(flat, base + output * slope) / divisor). See domain/charge-line.ts.
CREATE TYPE charge_line AS (flat numeric, base numeric, slope numeric, divisor numeric);

CREATE FUNCTION line_charge(p charge_line, p_output bigint) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN div(greatest(p.flat, p.base + p_output * p.slope) + p.divisor - 1, p.divisor);
END $$;

-- The most output up to p_output that p_available pays for, or null when that is less than p_least, the least worth having.
CREATE FUNCTION affordable_output(p charge_line, p_output bigint, p_least bigint, p_available bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  v_budget numeric := p_available * p.divisor;
  v_output numeric := least(p_output, div(v_budget - p.base, nullif(p.slope, 0)));
BEGIN
  RETURN CASE WHEN p.slope > 0 AND p.flat <= v_budget AND v_output >= p_least THEN v_output END;
END $$;

CREATE TYPE hold_request AS (
  hold_id uuid, claims account_claims, opened_by text, session_id text, open_key text, open_hash text,
  upstream text, model text, chatflow_id text, workspace_id text, price_rule_id uuid, units jsonb, metadata jsonb,
  line charge_line, output bigint, min_output bigint, lease_seconds integer, actor text, request_id text
);

-- outcome: opened | replayed | closed (with its result) | mismatch (id or key was used for another request) | short
CREATE FUNCTION open_hold(p hold_request) RETURNS hold_answer LANGUAGE plpgsql AS $$
DECLARE
  v_account user_accounts := lock_account(p.claims);
  v_hold streaming_sessions;
  v_now timestamptz := ledger_now();
  v_cost numeric := line_charge(p.line, p.output);
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
    v_units := jsonb_set(p.units, '{output}', to_jsonb(affordable_output(p.line, p.output, p.min_output, v_plan.total)));
    IF v_units IS NULL THEN
      RETURN ROW('short', v_plan.total, NULL)::hold_answer;
    END IF;
    v_cost := line_charge(p.line, (v_units ->> 'output')::bigint);
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

-- Locks accounts in the order of their ids and returns the ids it has locked.
CREATE FUNCTION lock_accounts(p_ids text[], p_wait boolean) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
  IF p_wait THEN
    PERFORM FROM user_accounts WHERE id = ANY (p_ids) ORDER BY id FOR UPDATE;
    RETURN p_ids;
  END IF;
  RETURN ARRAY(SELECT id FROM user_accounts WHERE id = ANY (p_ids) ORDER BY id FOR UPDATE SKIP LOCKED);
END $$;

CREATE FUNCTION open_holds(p_items jsonb, p_wait boolean) RETURNS SETOF hold_answer LANGUAGE plpgsql AS $$
DECLARE
  v_locked text[] := lock_accounts(ARRAY(SELECT i -> 'claims' ->> 'id' FROM jsonb_array_elements(p_items) i), p_wait);
  r hold_request;
BEGIN
  FOR r IN SELECT * FROM jsonb_populate_recordset(NULL::hold_request, p_items) LOOP
    RETURN NEXT CASE WHEN (r.claims).id = ANY (v_locked) THEN open_hold(r) ELSE ROW('busy', NULL, NULL)::hold_answer END;
  END LOOP;
END $$;

CREATE TYPE extension_request AS (
  hold_id uuid, user_id text, opened_by text, fence integer, units jsonb, line charge_line, output bigint, min_output bigint,
  actor text, request_id text
);

-- Raises a hold to what `output` costs. When the balance does not cover that but at least min_output, and no less than was granted,
-- it is raised to what the balance buys; without min_output it takes the whole difference or nothing. Repeating it changes nothing.
-- outcome: extended | closed | fenced | unknown | short
CREATE FUNCTION extend_hold(p extension_request) RETURNS hold_answer LANGUAGE plpgsql AS $$
DECLARE
  v_hold streaming_sessions;
  v_now timestamptz;
  v_granted bigint;
  v_output bigint := p.output;
  v_more numeric;
  v_plan lot_plan;
BEGIN
  PERFORM FROM user_accounts WHERE id = p.user_id FOR UPDATE;
  SELECT * INTO v_hold FROM streaming_sessions
    WHERE id = p.hold_id AND user_id = p.user_id AND opened_by = p.opened_by FOR UPDATE;
  v_now := ledger_now();
  IF v_hold.id IS NULL OR v_hold.status <> 'active' OR p.fence < v_hold.fence THEN
    RETURN ROW(
      CASE WHEN v_hold.id IS NULL THEN 'unknown' WHEN v_hold.status <> 'active' THEN 'closed' ELSE 'fenced' END,
      spendable_credits(p.user_id, v_now), to_jsonb(v_hold))::hold_answer;
  END IF;
  v_granted := coalesce((v_hold.units ->> 'output')::bigint, 0);
  v_more := greatest(line_charge(p.line, v_output) - v_hold.held_credits, 0);
  v_plan := plan_lots(
    p.user_id, least(v_more, 9007199254740991)::bigint, v_hold.upstream, v_hold.model, v_hold.workspace_id, v_now);
  IF v_plan.total < v_more THEN
    v_output := CASE WHEN p.min_output IS NOT NULL THEN
      affordable_output(p.line, p.output, greatest(p.min_output, v_granted), v_hold.held_credits + v_plan.total) END;
    IF v_output IS NULL THEN
      RETURN ROW('short', v_plan.total, to_jsonb(v_hold))::hold_answer;
    END IF;
    v_more := greatest(line_charge(p.line, v_output) - v_hold.held_credits, 0);
    v_plan := plan_lots(p.user_id, v_more::bigint, v_hold.upstream, v_hold.model, v_hold.workspace_id, v_now);
  END IF;
  UPDATE streaming_sessions SET
    held_credits = held_credits + v_more::bigint, clamped = v_output < p.output,
    units = CASE WHEN v_output < v_granted THEN units WHEN v_output < p.output THEN jsonb_set(p.units, '{output}', to_jsonb(v_output))
            ELSE p.units END
    WHERE id = p.hold_id RETURNING * INTO v_hold;
  IF v_more > 0 THEN
    PERFORM take_lots(p.hold_id, v_plan, false);
    PERFORM ledger_post(
      p.user_id, ROW('extend', p.hold_id, NULL, NULL, p.actor, NULL, p.request_id)::ledger_note, -v_more::bigint, v_more::bigint, 0,
      '{}', '{}', v_now);
  END IF;
  RETURN ROW('extended', spendable_credits(p.user_id, v_now), to_jsonb(v_hold))::hold_answer;
END $$;

CREATE TYPE renewal AS (hold_id uuid, user_id text, opened_by text, fence integer, checkpoint jsonb);
CREATE TYPE renewal_answer AS (hold_id uuid, outcome text, lease_expires_at timestamptz);

-- outcome: renewed | closed | fenced | unknown. user_id null: any user's hold. A higher fence takes the hold over; who opened it
-- alone may do either.
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
      WHERE id = r.hold_id AND status = 'active' AND fence <= r.fence AND opened_by = r.opened_by
        AND (r.user_id IS NULL OR user_id = r.user_id)
      RETURNING lease_expires_at INTO v_lease;
    IF FOUND THEN
      RETURN NEXT ROW(r.hold_id, 'renewed', v_lease)::renewal_answer;
    ELSE
      SELECT * INTO v_hold FROM streaming_sessions
        WHERE id = r.hold_id AND opened_by = r.opened_by AND (r.user_id IS NULL OR user_id = r.user_id);
      RETURN NEXT ROW(
        r.hold_id,
        CASE WHEN NOT FOUND THEN 'unknown' WHEN v_hold.status <> 'active' THEN 'closed' ELSE 'fenced' END,
        NULL)::renewal_answer;
    END IF;
  END LOOP;
END $$;
