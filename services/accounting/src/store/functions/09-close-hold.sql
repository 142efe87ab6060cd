-- Closing a hold: one winner, one terminal row, for ever the same answer.

CREATE TYPE close_request AS (
  hold_id uuid,
  user_id text,
  -- Only who opened a hold may close it. null: the sweeper, for any hold whose lease is over.
  opened_by text,
  cause text, -- settle | void | bury (a void of what has not arrived yet, and of nothing else) | sweep
  charge bigint, outcome text, usage_source text, units jsonb, raw_usage jsonb, reason text, metadata jsonb,
  close_key text, close_hash text,
  -- Who pays what the balance does not cover: absorb (nobody) | debt (the user's next grant).
  policy text,
  -- The lease that the sweeper saw, as text; a renewal in the meantime keeps the hold alive.
  seen_lease timestamptz,
  -- The price that the charge was reckoned by; another one meanwhile makes the answer `repriced`.
  price_rule_id uuid,
  -- Refused before anything was asked of the upstream: it does not count as a request.
  refused boolean,
  actor text, request_id text,
  -- Found out by close_holds().
  payer_id text,
  -- What the rounding up of the charge added, in micro-credits. null: nothing was rounded.
  rounding_micro numeric
);

-- Whether a request is one that the service makes. Everything that is compared later is known here: an unknown cause or policy, or
-- nobody to compare with who opened the hold, would pass those comparisons.
CREATE FUNCTION is_close_request(p close_request) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN p.charge >= 0 AND p.policy IN ('absorb', 'debt') AND CASE p.cause
    WHEN 'settle' THEN p.opened_by IS NOT NULL
    WHEN 'void' THEN p.opened_by IS NOT NULL AND p.charge = 0
    WHEN 'bury' THEN p.opened_by IS NOT NULL AND p.charge = 0
    WHEN 'sweep' THEN p.opened_by IS NULL ELSE false END;
END $$;

-- The row of usage that belongs to a closed hold, or to the correction of one.
CREATE FUNCTION log_hold_usage(h streaming_sessions, p close_request, p_credits bigint, p_written_off bigint, p_now timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_logs (
    tenant_id, user_id, payer_id, service, operation, credits, written_off_credits, hold_id, is_correction, upstream, model,
    chatflow_id, workspace_id, api_key_id, input_tokens, output_tokens, units, usage_source, raw_usage, outcome, reason,
    price_rule_id, metadata,
    "timestamp", rounding_micro
  ) VALUES (
    h.tenant_id, h.user_id, h.payer_id, CASE WHEN h.opened_by = 'user' THEN 'accounting' ELSE h.opened_by END,
    CASE WHEN h.opened_by <> 'user' THEN 'chat' WHEN h.price_rule_id IS NULL THEN 'deduct' ELSE 'streaming-session' END,
    p_credits, p_written_off, h.id, h.closed_at IS NOT NULL, h.upstream, h.model, h.chatflow_id, h.workspace_id, h.api_key_id,
    (p.units ->> 'input')::bigint + coalesce((p.units ->> 'cache_read')::bigint, 0)
      + coalesce((p.units ->> 'cache_write_5m')::bigint, 0) + coalesce((p.units ->> 'cache_write_1h')::bigint, 0),
    (p.units ->> 'output')::bigint, p.units, p.usage_source, p.raw_usage, p.outcome, p.reason, h.price_rule_id,
    h.metadata || coalesce(p.metadata, '{}'), p_now,
    -- Like the credits of a correction, the difference to what was booked before.
    coalesce(p.rounding_micro, 0) - CASE WHEN h.closed_at IS NULL THEN 0 ELSE coalesce((
      SELECT sum(rounding_micro) FROM usage_logs WHERE hold_id = h.id), 0) END
  );
END $$;

-- A void that overtakes its hold leaves an empty one, which it closes: the request that comes later finds it closed. Of the two only
-- one can insert the id.
CREATE FUNCTION reserve_tombstone(p close_request, p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO streaming_sessions (id, tenant_id, user_id, payer_id, opened_by, held_credits, lease_expires_at, created_at)
    SELECT p.hold_id, a.tenant_id, a.id, a.id, p.opened_by, 0, p_now, p_now FROM user_accounts a
    WHERE a.id = p.user_id AND NOT EXISTS (SELECT FROM streaming_sessions WHERE id = p.hold_id)
    ON CONFLICT (id) DO NOTHING;
END $$;

-- outcome: done | same (a repetition of the closing call) | final (closed by another call) | mismatch (key with another body)
--          | alive (to the sweeper: renewed meanwhile; to a burial: has arrived) | repriced (reckon again) | unknown
CREATE FUNCTION close_hold(p close_request) RETURNS hold_answer LANGUAGE plpgsql AS $$
DECLARE
  h streaming_sessions;
  v_now timestamptz;
  v_payer text;
BEGIN
  IF is_close_request(p) IS NOT TRUE THEN
    RAISE EXCEPTION 'hold % cannot be closed like that', p.hold_id USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM FROM user_accounts WHERE id = p.payer_id FOR NO KEY UPDATE;
  IF FOUND AND p.cause IN ('void', 'bury') THEN
    PERFORM reserve_tombstone(p, ledger_now());
  END IF;
  SELECT payer_id INTO v_payer FROM streaming_sessions WHERE id = p.hold_id;
  IF v_payer <> p.payer_id THEN
    -- It came to be in this instant, paid by a pool.
    PERFORM FROM user_accounts WHERE id = v_payer FOR NO KEY UPDATE;
  END IF;
  SELECT * INTO h FROM streaming_sessions WHERE id = p.hold_id AND user_id = p.user_id FOR NO KEY UPDATE;
  IF NOT FOUND OR p.opened_by <> h.opened_by THEN
    RETURN ROW('unknown', NULL, NULL)::hold_answer;
  END IF;
  v_now := ledger_now();
  IF h.status <> 'active' THEN
    RETURN close_again(h, p, v_now);
  END IF;
  IF p.cause = 'sweep' AND (h.lease_expires_at > v_now OR h.lease_expires_at <> p.seen_lease) THEN
    RETURN ROW('alive', NULL, NULL)::hold_answer;
  END IF;
  -- Only what stands in for a hold was not asked for.
  IF p.cause = 'bury' AND h.open_key IS NOT NULL THEN
    RETURN ROW('alive', NULL, NULL)::hold_answer;
  END IF;
  IF p.price_rule_id <> h.price_rule_id THEN
    RETURN ROW('repriced', NULL, NULL)::hold_answer;
  END IF;
  RETURN ROW('done', NULL, tell_hold(finish_hold(h, p, v_now)))::hold_answer;
END $$;

-- The one transition out of `active`. The account and the hold are locked.
CREATE FUNCTION finish_hold(h streaming_sessions, p close_request, p_now timestamptz) RETURNS streaming_sessions LANGUAGE plpgsql AS $$
DECLARE
  v released_lots := release_lots(h.id, least(p.charge, h.held_credits), p_now);
  v_extra lot_plan := plan_lots(
    h.payer_id, greatest(p.charge - h.held_credits, 0), h.upstream, h.model, h.workspace_id, p_now);
  v_short bigint := greatest(p.charge - h.held_credits, 0) - v_extra.total;
  v_debt bigint := CASE p.policy WHEN 'debt' THEN v_short ELSE 0 END;
  v_charged bigint := v.used + v_extra.total + v_debt;
  v_result streaming_sessions;
BEGIN
  PERFORM take_lots(h.id, v_extra, true);
  IF h.held_credits > 0 OR p.charge > 0 THEN
    PERFORM ledger_post(
      h.payer_id, ROW(CASE p.charge WHEN 0 THEN 'void' ELSE 'settle' END, h.id, NULL, NULL, p.actor, p.reason, p.request_id)::ledger_note,
      v.released - v_extra.total, -h.held_credits, v_debt,
      ARRAY['revenue', 'writeoff', 'expired'] || v.issuers,
      ARRAY[p.charge, v_debt - v_short, v.expired] || v.revoked, p_now);
  END IF;
  IF v.recalled_lots <> '{}' THEN
    PERFORM book_recalled(v, p, p_now);
  END IF;
  UPDATE streaming_sessions SET
    status = CASE WHEN p.cause = 'sweep' THEN 'expired' WHEN p.cause IN ('void', 'bury') OR (p.charge = 0 AND held_credits > 0) THEN 'voided' ELSE 'settled' END,
    closed_at = p_now, close_key = p.close_key, close_hash = p.close_hash, outcome = p.outcome,
    charged_credits = v_charged, released_credits = v.released, lapsed_credits = held_credits - v.used - v.released,
    overrun_credits = v_extra.total, debt_credits = v_debt, written_off_credits = v_short - v_debt,
    available_after = spendable_credits(h.payer_id, p_now)
    WHERE id = h.id RETURNING * INTO v_result;
  IF h.limit_counts IS NOT NULL THEN
    PERFORM reserve_counts(h.limit_counts, -1);
    PERFORM use_counts(h.limit_counts, v_charged, tokens_of(p.units), CASE WHEN p.refused AND p.charge = 0 THEN -1 ELSE 0 END);
  END IF;
  PERFORM log_hold_usage(h, p, v_charged, v_short - v_debt, p_now);
  IF v_short > 0 THEN
    PERFORM tell_overrun(v_result, p.request_id, p_now);
  END IF;
  RETURN v_result;
END $$;

-- Tells that neither the hold nor the balance covered a charge, in the transaction that booked it.
CREATE FUNCTION tell_overrun(h streaming_sessions, p_request_id text, p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM emit_event(h.tenant_id, 'usage.overrun', h.payer_id, jsonb_build_object(
    'userId', h.user_id, 'payerId', h.payer_id, 'holdId', h.id, 'chargedCredits', h.charged_credits,
    'overrunCredits', h.overrun_credits, 'writtenOffCredits', h.written_off_credits, 'debtCredits', h.debt_credits,
    'requestId', p_request_id), p_now);
END $$;

-- Who pays for the hold of each request; for one that is not there its user.
CREATE FUNCTION with_payers(p_items jsonb) RETURNS close_request[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(
    SELECT ROW(
      i.hold_id, i.user_id, i.opened_by, i.cause, i.charge, i.outcome, i.usage_source, i.units, i.raw_usage, i.reason, i.metadata,
      i.close_key, i.close_hash, i.policy, i.seen_lease, i.price_rule_id, i.refused, i.actor, i.request_id,
      coalesce((SELECT h.payer_id FROM streaming_sessions h WHERE h.id = i.hold_id), i.user_id), i.rounding_micro
    )::close_request
    FROM jsonb_populate_recordset(NULL::ledger.close_request, p_items) WITH ORDINALITY i ORDER BY i.ordinality);
END $$;

-- Accounts for users who are not known yet, and whose first hold is overtaken by its void. Nobody gets one by the hold of somebody else.
CREATE FUNCTION open_overtaking(p_items close_request[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM insert_account(ROW(n.id, NULL, NULL, NULL, NULL)::account_claims) FROM (
    SELECT DISTINCT i.user_id AS id FROM unnest(p_items) i
    WHERE i.cause IN ('void', 'bury') AND i.payer_id = i.user_id AND NOT EXISTS (SELECT FROM user_accounts a WHERE a.id = i.user_id)
    ORDER BY 1) n;
END $$;

-- Accounts are opened before anything is locked, as open_holds() does. Who may not wait finds them `busy`, and asks again.
CREATE FUNCTION close_holds(p_items jsonb, p_wait boolean) RETURNS SETOF hold_answer LANGUAGE plpgsql AS $$
DECLARE
  v_items close_request[] := with_payers(p_items);
  v_locked text[];
  v_counted uuid[];
  v_answers hold_answer[];
  r close_request;
BEGIN
  IF p_wait THEN
    PERFORM open_overtaking(v_items);
  END IF;
  v_locked := lock_accounts(ARRAY(SELECT payer_id FROM unnest(v_items)), p_wait);
  -- Locks all of them; the counters of those that a limit counts.
  SELECT array_agg(h.id) FILTER (WHERE h.is_counted) INTO v_counted FROM (
    SELECT id, limit_counts IS NOT NULL AS is_counted FROM streaming_sessions
    WHERE payer_id = ANY (v_locked) AND id = ANY (ARRAY(SELECT hold_id FROM unnest(v_items))) ORDER BY id FOR NO KEY UPDATE) h;
  IF v_counted IS NOT NULL THEN
    PERFORM lock_counters_of(v_counted);
  END IF;
  v_answers := close_together(v_items, v_locked);
  FOR n IN 1 .. cardinality(v_items) LOOP
    IF (v_answers[n]).outcome IS NOT NULL THEN
      RETURN NEXT v_answers[n];
      CONTINUE;
    END IF;
    r := v_items[n];
    RETURN NEXT CASE WHEN r.payer_id = ANY (v_locked) THEN close_hold(r)
                ELSE ROW('busy', NULL, json_build_object('payer_id', r.payer_id))::hold_answer END;
  END LOOP;
END $$;

-- Spends credits at once: a hold and its settlement in one step, once for each key. outcome: done | same | mismatch | short | limited
-- | blocked
CREATE FUNCTION deduct_credits(p hold_request, p_charge bigint, p_reason text) RETURNS hold_answer LANGUAGE plpgsql AS $$
DECLARE
  v_request hold_request := prepare_hold(p, has_limits());
  v_account user_accounts := lock_payer(v_request);
  h streaming_sessions;
  v_answer hold_answer;
BEGIN
  SELECT * INTO h FROM streaming_sessions WHERE user_id = (p.claims).id AND open_key = p.open_key;
  IF FOUND THEN
    RETURN ROW(CASE WHEN h.open_hash = p.open_hash THEN 'same' ELSE 'mismatch' END, NULL, tell_hold(h))::hold_answer;
  END IF;
  PERFORM lock_counters(v_request.limits);
  v_answer := open_hold(v_request);
  IF v_answer.outcome <> 'opened' THEN
    RETURN v_answer;
  END IF;
  RETURN close_hold(jsonb_populate_record(NULL::ledger.close_request, jsonb_build_object(
    'hold_id', p.hold_id, 'user_id', (p.claims).id, 'payer_id', v_account.id, 'opened_by', p.opened_by, 'cause', 'settle',
    'charge', p_charge, 'outcome', 'completed', 'usage_source', 'flat', 'units', p.units, 'reason', p_reason, 'metadata', '{}'::jsonb,
    'close_key', p.open_key, 'close_hash', p.open_hash, 'policy', 'absorb', 'actor', p.actor, 'request_id', p.request_id,
    'rounding_micro', 0)));
END $$;
