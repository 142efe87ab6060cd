-- Extending and renewing holds.

CREATE TYPE extension_request AS (
  hold_id uuid, user_id text, opened_by text, fence integer, units jsonb, line charge_line, output bigint, min_output bigint,
  -- Set when the answer will come from something else than the hold was opened for: it is priced by that from now on.
  price_rule_id uuid, upstream text, model text, chatflow_id text,
  actor text, request_id text
);

-- The hold of an extension, under the lock of the account that pays for it.
CREATE FUNCTION lock_hold(p_hold_id uuid, p_user_id text, p_opened_by text) RETURNS streaming_sessions LANGUAGE plpgsql AS $$
DECLARE
  h streaming_sessions;
BEGIN
  PERFORM FROM user_accounts WHERE id = (SELECT payer_id FROM streaming_sessions WHERE id = p_hold_id) FOR NO KEY UPDATE;
  SELECT * INTO h FROM streaming_sessions WHERE id = p_hold_id AND user_id = p_user_id AND opened_by = p_opened_by FOR NO KEY UPDATE;
  RETURN h;
END $$;

-- The limits that a hold counts in.
CREATE FUNCTION limits_now(h streaming_sessions) RETURNS applied_limit[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(
    SELECT ROW(k.limit_id, l.scope, k.subject, k.measure, l."window", k.window_start, l.amount)::applied_limit
    FROM jsonb_populate_recordset(NULL::ledger.limit_count, h.limit_counts) k JOIN limits l ON l.id = k.limit_id);
END $$;

-- The limits that it will count in when the answer comes from another model: those of the new model instead of the old one's.
CREATE FUNCTION limits_after(h streaming_sessions, p extension_request, p_now timestamptz) RETURNS applied_limit[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_now applied_limit[] := limits_now(h);
BEGIN
  IF p.price_rule_id IS NULL OR p.model = h.model THEN
    RETURN v_now;
  END IF;
  RETURN ARRAY(SELECT l FROM unnest(v_now) l WHERE l.scope <> 'model')
    || ARRAY(
      SELECT l FROM limits_of(h.tenant_id, h.user_id, h.workspace_id, h.api_key_id, p.model, p_now) l WHERE l.scope = 'model');
END $$;

-- What limits leave to an open hold beside what it has reserved. Of a limit it has not counted in so far its whole cost is asked.
CREATE FUNCTION room_beside(h streaming_sessions, p_limits applied_limit[], p_now timestamptz) RETURNS limit_room
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN room_in(ARRAY(
    SELECT ROW(l.limit_id, l.scope, l.subject, l.measure, l."window", l.window_start,
               l.most + CASE WHEN k.limit_id IS NULL AND l.measure = 'credits' THEN -h.held_credits
                             WHEN l.measure = 'tokens' THEN coalesce(k.amount, 0) ELSE 0 END)::applied_limit
    FROM unnest(p_limits) l JOIN limits m ON m.id = l.limit_id AND m.ended_at IS NULL
    LEFT JOIN jsonb_populate_recordset(NULL::ledger.limit_count, h.limit_counts) k
      ON (k.limit_id, k.subject, k.window_start) = (l.limit_id, l.subject, l.window_start)
    -- It has its request and its slot already.
    WHERE k.limit_id IS NULL OR l.measure IN ('credits', 'tokens')), p_now);
END $$;

-- Whether lots that a hold has taken may not pay for what is asked for instead.
CREATE FUNCTION holds_other_lots(p extension_request, p_workspace_id text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM hold_lots t JOIN credit_allocations a ON a.id = t.allocation_id
    WHERE t.hold_id = p.hold_id AND t.held_credits > 0
      AND (p.model = ANY (a.models) IS FALSE OR p.upstream = ANY (a.upstreams) IS FALSE));
END $$;

-- Raises a hold to what `output` costs. When the balance or a limit does not cover that but at least min_output, and no less than was
-- granted, it is raised to what they allow; without min_output it takes the whole difference or nothing. Repeating it changes nothing.
-- outcome: extended | closed | fenced | unknown | short | limited
CREATE FUNCTION extend_hold(p extension_request) RETURNS hold_answer LANGUAGE plpgsql AS $$
DECLARE
  h streaming_sessions := lock_hold(p.hold_id, p.user_id, p.opened_by);
  v_now timestamptz := ledger_now();
  v_granted bigint;
  v_request hold_request;
  v_limits applied_limit[];
  v_room limit_room;
  v hold_size;
BEGIN
  IF h.id IS NULL OR h.status <> 'active' OR p.fence < h.fence THEN
    RETURN ROW(
      CASE WHEN h.id IS NULL THEN 'unknown' WHEN h.status <> 'active' THEN 'closed' ELSE 'fenced' END,
      spendable_credits(h.payer_id, v_now), tell_hold(h))::hold_answer;
  END IF;
  -- Output that was granted at another price is worth nothing at this one.
  v_granted := CASE WHEN p.price_rule_id IS NULL THEN coalesce((h.units ->> 'output')::bigint, 0) ELSE 0 END;
  v_request.payer_id := h.payer_id;
  v_request.workspace_id := h.workspace_id;
  v_request.upstream := coalesce(p.upstream, h.upstream);
  v_request.model := coalesce(p.model, h.model);
  v_request.units := p.units;
  v_request.line := p.line;
  v_request.output := p.output;
  v_request.min_output := p.min_output;
  v_limits := limits_after(h, p, v_now);
  PERFORM lock_counters(limits_now(h) || v_limits);
  v_room := room_beside(h, v_limits, v_now);
  -- What was granted stays granted, also when the limit was lowered meanwhile.
  IF p.price_rule_id IS NULL AND tokens_of(p.units) <= tokens_of(h.units) THEN
    v_room.tokens := NULL;
  END IF;
  IF v_room.refused_by IS NOT NULL THEN
    RETURN ROW('limited', NULL, v_room.refused_by)::hold_answer;
  END IF;
  v := fit_hold(v_request, v_room, h.held_credits, greatest(p.min_output, v_granted), v_now);
  IF v.cost IS NULL OR (p.price_rule_id IS NOT NULL AND holds_other_lots(p, h.workspace_id)) THEN
    RETURN CASE WHEN v.refused_by IS NULL THEN ROW('short', v.available, tell_hold(h))::hold_answer
           ELSE ROW('limited', NULL, v.refused_by)::hold_answer END;
  END IF;
  h := raise_hold(h, p, v, v_limits, v_now);
  RETURN ROW('extended', spendable_credits(h.payer_id, v_now), tell_hold(h))::hold_answer;
END $$;

CREATE FUNCTION raise_hold(h streaming_sessions, p extension_request, v hold_size, p_limits applied_limit[], p_now timestamptz)
RETURNS streaming_sessions LANGUAGE plpgsql AS $$
DECLARE
  v_more bigint := greatest(v.cost - h.held_credits, 0);
  -- A repetition, or one that came too late: what was granted stays.
  v_is_less boolean := p.price_rule_id IS NULL
    AND coalesce((v.units ->> 'output')::bigint, 0) < coalesce((h.units ->> 'output')::bigint, 0);
  v_counts jsonb := counts_for(
    p_limits, h.held_credits + v_more, tokens_of(CASE WHEN v_is_less THEN h.units ELSE v.units END));
BEGIN
  -- The request moves with the hold from the limits of one model to those of another.
  PERFORM reserve_counts(h.limit_counts, -1);
  PERFORM use_counts(h.limit_counts, 0, 0, -1);
  PERFORM reserve_counts(v_counts, 1);
  PERFORM use_counts(v_counts, 0, 0, 1);
  UPDATE streaming_sessions SET
    held_credits = held_credits + v_more, clamped = v.units <> p.units, units = CASE WHEN v_is_less THEN units ELSE v.units END,
    limit_counts = v_counts, price_rule_id = coalesce(p.price_rule_id, price_rule_id), upstream = coalesce(p.upstream, upstream),
    model = coalesce(p.model, model), extensions = extensions + 1,
    chatflow_id = CASE WHEN p.price_rule_id IS NULL THEN chatflow_id ELSE p.chatflow_id END
    WHERE id = h.id RETURNING * INTO h;
  IF v_more > 0 THEN
    PERFORM take_lots(h.id, v.plan, false);
    PERFORM ledger_post(
      h.payer_id, ROW('extend', h.id, NULL, NULL, p.actor, NULL, p.request_id)::ledger_note, -v_more, v_more, 0, '{}', '{}', p_now);
  END IF;
  RETURN h;
END $$;

CREATE TYPE renewal AS (hold_id uuid, user_id text, opened_by text, fence integer, checkpoint jsonb);

CREATE TYPE renewal_answer AS (hold_id uuid, outcome text, lease_expires_at timestamptz, reason text);

-- outcome: renewed | closed | fenced | unknown | stopped (its user, workspace or key was blocked: settle now; the checkpoint is kept,
-- the lease runs out). user_id null: any user's hold. A higher fence takes the hold over; who opened it alone may do either.
CREATE FUNCTION renew_hold(r renewal, p_lease_seconds integer, p_blocked boolean) RETURNS renewal_answer LANGUAGE plpgsql AS $$
DECLARE
  h streaming_sessions;
  v_block text;
BEGIN
  SELECT * INTO h FROM streaming_sessions
    WHERE id = r.hold_id AND opened_by = r.opened_by AND (r.user_id IS NULL OR user_id = r.user_id) FOR NO KEY UPDATE;
  IF NOT FOUND OR h.status <> 'active' OR h.fence > r.fence THEN
    RETURN ROW(
      r.hold_id, CASE WHEN h.id IS NULL THEN 'unknown' WHEN h.status <> 'active' THEN 'closed' ELSE 'fenced' END,
      NULL, NULL)::renewal_answer;
  END IF;
  IF p_blocked THEN
    v_block := block_on(h.user_id, h.workspace_id, h.api_key_id);
  END IF;
  UPDATE streaming_sessions SET
    lease_expires_at = CASE WHEN v_block IS NULL THEN ledger_now() + make_interval(secs => p_lease_seconds) ELSE lease_expires_at END,
    fence = r.fence, checkpoint = coalesce(r.checkpoint, checkpoint)
    WHERE id = r.hold_id RETURNING * INTO h;
  RETURN ROW(
    r.hold_id, CASE WHEN v_block IS NULL THEN 'renewed' ELSE 'stopped' END, h.lease_expires_at, v_block)::renewal_answer;
END $$;

CREATE FUNCTION renew_holds(p_items jsonb, p_lease_seconds integer) RETURNS SETOF renewal_answer LANGUAGE plpgsql AS $$
DECLARE
  v_blocked boolean := EXISTS (SELECT FROM blocks);
  r renewal;
BEGIN
  FOR r IN SELECT * FROM jsonb_populate_recordset(NULL::renewal, p_items) ORDER BY 1 LOOP
    RETURN NEXT renew_hold(r, p_lease_seconds, v_blocked);
  END LOOP;
END $$;
