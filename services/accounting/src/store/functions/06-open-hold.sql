-- Opening holds. open_hold serves one request; the *_holds functions take an array of them and lock all accounts, then all holds,
-- in the order of their ids, so that two batches never wait for each other. Unless p_wait, they answer `busy` for an account that
-- somebody else has locked (or that is new), so that it does not keep strangers waiting.

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

CREATE FUNCTION open_holds(p_items jsonb, p_wait boolean) RETURNS SETOF hold_answer LANGUAGE plpgsql AS $$
DECLARE
  v_locked text[] := lock_accounts(ARRAY(SELECT i -> 'claims' ->> 'id' FROM jsonb_array_elements(p_items) i), p_wait);
  r hold_request;
BEGIN
  FOR r IN SELECT * FROM jsonb_populate_recordset(NULL::hold_request, p_items) LOOP
    RETURN NEXT CASE WHEN (r.claims).id = ANY (v_locked) THEN open_hold(r) ELSE ROW('busy', NULL, NULL)::hold_answer END;
  END LOOP;
END $$;
