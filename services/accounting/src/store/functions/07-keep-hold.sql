-- Extending and renewing holds.

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
