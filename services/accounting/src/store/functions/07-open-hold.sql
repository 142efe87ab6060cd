-- Opening holds. open_hold serves one request; the *_holds functions take an array of them and lock all accounts, then all holds,
-- in the order of their ids, so that two batches never wait for each other. Unless p_wait, they answer `busy` for an account that
-- somebody else has locked (or that is new), so that it does not keep strangers waiting.

-- hold: the hold; of a refusal by a limit that limit, of one by a block its reason, of a busy one its payer.
CREATE TYPE hold_answer AS (outcome text, available_credits bigint, hold json);

-- Of a hold what the service reads (store/hold-rows.ts); the other half of its columns would be written and read for nobody.
CREATE TYPE told_hold AS (
  id uuid, user_id text, payer_id text, opened_by text, session_id text, upstream text, model text, chatflow_id text, workspace_id text,
  price_rule_id uuid, units jsonb, clamped boolean, status text, held_credits bigint, fence integer, lease_expires_at timestamptz,
  checkpoint jsonb, created_at timestamptz, closed_at timestamptz, close_key text, outcome text, charged_credits bigint,
  released_credits bigint, lapsed_credits bigint, written_off_credits bigint, debt_credits bigint, overrun_credits bigint,
  available_after bigint
);

-- An SQL function, because it is inlined.
CREATE FUNCTION tell_hold(h streaming_sessions) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT row_to_json(ROW(
    h.id, h.user_id, h.payer_id, h.opened_by, h.session_id, h.upstream, h.model, h.chatflow_id, h.workspace_id, h.price_rule_id, h.units,
    h.clamped, h.status, h.held_credits, h.fence, h.lease_expires_at, h.checkpoint, h.created_at, h.closed_at, h.close_key, h.outcome,
    h.charged_credits, h.released_credits, h.lapsed_credits, h.written_off_credits, h.debt_credits, h.overrun_credits, h.available_after
  )::told_hold)
$$;

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
  upstream text, model text, chatflow_id text, workspace_id text, api_key_id text, price_rule_id uuid, units jsonb, metadata jsonb,
  line charge_line, output bigint, min_output bigint, lease_seconds integer, actor text, request_id text,
  -- Found out by prepare_hold().
  payer_id text, limits applied_limit[]
);

-- Who pays for a request, and which limits apply to it; read before anything is locked.
CREATE FUNCTION prepare_hold(r hold_request, p_limited boolean) RETURNS hold_request LANGUAGE plpgsql AS $$
BEGIN
  r.payer_id := (r.claims).id;
  IF r.workspace_id IS NOT NULL THEN
    PERFORM FROM workspaces WHERE id = r.workspace_id AND billing = 'pool';
    IF FOUND THEN
      r.payer_id := 'ws_' || r.workspace_id;
    END IF;
  END IF;
  r.limits := '{}';
  IF p_limited THEN
    r.limits := ARRAY(
      SELECT l FROM limits_of('default', (r.claims).id, r.workspace_id, r.api_key_id, r.model, ledger_now()) l);
  END IF;
  RETURN r;
END $$;

-- The same for many.
CREATE FUNCTION prepare_holds(p_items jsonb, p_limited boolean) RETURNS hold_request[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(
    SELECT ROW(
      i.hold_id, i.claims, i.opened_by, i.session_id, i.open_key, i.open_hash, i.upstream, i.model, i.chatflow_id, i.workspace_id,
      i.api_key_id, i.price_rule_id, i.units, i.metadata, i.line, i.output, i.min_output, i.lease_seconds, i.actor, i.request_id,
      coalesce(
        CASE WHEN i.workspace_id IS NOT NULL THEN (
          SELECT 'ws_' || w.id FROM workspaces w WHERE w.id = i.workspace_id AND w.billing = 'pool') END,
        (i.claims).id),
      CASE WHEN p_limited THEN ARRAY(
        SELECT l FROM limits_of('default', (i.claims).id, i.workspace_id, i.api_key_id, i.model, ledger_now()) l) ELSE '{}' END
    )::hold_request
    FROM jsonb_populate_recordset(NULL::ledger.hold_request, p_items) WITH ORDINALITY i ORDER BY i.ordinality);
END $$;

-- Locks the account that pays. A user whose pool pays only has to have an account.
CREATE FUNCTION lock_payer(p hold_request) RETURNS user_accounts LANGUAGE plpgsql AS $$
DECLARE
  a user_accounts;
BEGIN
  IF p.payer_id = (p.claims).id THEN
    RETURN lock_account(p.claims);
  END IF;
  PERFORM FROM user_accounts WHERE id = (p.claims).id;
  IF NOT FOUND THEN
    PERFORM lock_account(p.claims);
  END IF;
  SELECT * INTO STRICT a FROM user_accounts WHERE id = p.payer_id FOR NO KEY UPDATE;
  RETURN a;
END $$;

CREATE TYPE hold_size AS (
  cost bigint, units jsonb, plan lot_plan,
  -- When nothing fits: the limit in the way, or null for the balance; what the lots would pay.
  refused_by jsonb, available bigint
);

-- The largest size up to what was asked that the balance and the limits allow, and that is worth having. p_held is paid already.
CREATE FUNCTION fit_hold(p hold_request, p_room limit_room, p_held bigint, p_least bigint, p_now timestamptz) RETURNS hold_size
LANGUAGE plpgsql AS $$
DECLARE
  v hold_size;
  v_output bigint := p.output;
  v_cost numeric;
  v_tokens bigint := tokens_of(p.units);
  v_funds bigint;
BEGIN
  v.units := p.units;
  IF v_tokens > p_room.tokens THEN
    v_output := p.output - (v_tokens - p_room.tokens);
    IF p.min_output IS NULL OR v_output < p_least THEN
      v.refused_by := p_room.tokens_by;
      RETURN v;
    END IF;
  END IF;
  v_cost := line_charge(p.line, v_output);
  v.plan := plan_lots(
    p.payer_id, least(greatest(v_cost - p_held, 0), 9007199254740991)::bigint, p.upstream, p.model, p.workspace_id, p_now);
  v_funds := p_held + (v.plan).total;
  v.available := (v.plan).total;
  IF p_room.credits IS NOT NULL THEN
    v_funds := least(v_funds, p_held + greatest(p_room.credits, 0));
  END IF;
  IF v_funds < v_cost THEN
    v_output := CASE WHEN p.min_output IS NOT NULL THEN affordable_output(p.line, v_output, p_least, v_funds) END;
    IF v_output IS NULL THEN
      -- The limit is in the way when the balance alone would have paid for something worth having.
      v.refused_by := CASE
        WHEN p_held + (v.plan).total >= v_cost
          OR p.min_output IS NOT NULL
            AND affordable_output(p.line, p.output, p_least, p_held + (v.plan).total) IS NOT NULL
        THEN p_room.credits_by END;
      RETURN v;
    END IF;
    v_cost := line_charge(p.line, v_output);
    v.plan := plan_lots(p.payer_id, greatest(v_cost - p_held, 0)::bigint, p.upstream, p.model, p.workspace_id, p_now);
  END IF;
  IF v_output < p.output THEN
    v.units := jsonb_set(p.units, '{output}', to_jsonb(v_output));
  END IF;
  v.cost := v_cost::bigint;
  RETURN v;
END $$;

-- What became of the request that this id or label was used for before, or null. A label is its user's own.
CREATE FUNCTION hold_again(p hold_request, p_now timestamptz) RETURNS hold_answer LANGUAGE plpgsql AS $$
DECLARE
  h streaming_sessions;
BEGIN
  SELECT * INTO h FROM streaming_sessions WHERE id = p.hold_id;
  IF NOT FOUND AND p.session_id IS NOT NULL THEN
    SELECT * INTO h FROM streaming_sessions WHERE user_id = (p.claims).id AND session_id = p.session_id;
  END IF;
  IF h.id IS NULL THEN
    RETURN NULL;
  END IF;
  RETURN ROW(
    CASE WHEN h.user_id <> (p.claims).id OR h.open_hash <> p.open_hash THEN 'mismatch'
         WHEN h.status = 'active' THEN 'replayed' ELSE 'closed' END,
    spendable_credits(h.payer_id, p_now), tell_hold(h))::hold_answer;
END $$;

-- outcome: opened | replayed | closed (with its result) | mismatch (id or key was used for another request) | short
--          | limited (by a limit) | blocked
CREATE FUNCTION open_hold(p hold_request) RETURNS hold_answer LANGUAGE plpgsql AS $$
DECLARE
  v_account user_accounts := lock_payer(p);
  v_now timestamptz := ledger_now();
  v_answer hold_answer := hold_again(p, v_now);
  v_block text;
  v_room limit_room;
  v hold_size;
  h streaming_sessions;
BEGIN
  IF v_answer.outcome IS NOT NULL THEN
    RETURN v_answer;
  END IF;
  v_block := block_on((p.claims).id, p.workspace_id, p.api_key_id);
  IF v_block IS NOT NULL THEN
    RETURN ROW('blocked', NULL, jsonb_build_object('reason', v_block))::hold_answer;
  END IF;
  v_room := room_in(p.limits, v_now);
  IF v_room.refused_by IS NULL THEN
    v := fit_hold(p, v_room, 0, p.min_output, v_now);
  END IF;
  IF v.cost IS NULL THEN
    RETURN CASE WHEN coalesce(v_room.refused_by, v.refused_by) IS NULL THEN ROW('short', v.available, NULL)::hold_answer
           ELSE ROW('limited', NULL, coalesce(v_room.refused_by, v.refused_by))::hold_answer END;
  END IF;

  INSERT INTO streaming_sessions AS s (
    id, tenant_id, user_id, payer_id, opened_by, session_id, open_key, open_hash, upstream, model, chatflow_id, workspace_id,
    api_key_id, price_rule_id, units, clamped, metadata, held_credits, limit_counts, lease_expires_at, created_at
  ) VALUES (
    p.hold_id, v_account.tenant_id, (p.claims).id, p.payer_id, p.opened_by, p.session_id, p.open_key, p.open_hash, p.upstream, p.model,
    p.chatflow_id, p.workspace_id, p.api_key_id, p.price_rule_id, v.units, v.units <> p.units, coalesce(p.metadata, '{}'), v.cost,
    counts_for(p.limits, v.cost, tokens_of(v.units)), v_now + make_interval(secs => p.lease_seconds), v_now
  ) ON CONFLICT DO NOTHING RETURNING * INTO h;
  IF NOT FOUND THEN
    -- Voided under another account's lock in this instant, or the label or key was used before.
    v_answer := hold_again(p, v_now);
    RETURN CASE WHEN v_answer.outcome IS NULL THEN ROW('mismatch', NULL, NULL)::hold_answer ELSE v_answer END;
  END IF;
  PERFORM take_lots(p.hold_id, v.plan, false);
  IF h.limit_counts IS NOT NULL THEN
    PERFORM reserve_counts(h.limit_counts, 1);
    PERFORM use_counts(h.limit_counts, 0, 0, 1);
  END IF;
  IF v.cost > 0 THEN
    PERFORM ledger_post(
      p.payer_id, ROW('hold', p.hold_id, NULL, NULL, p.actor, NULL, p.request_id)::ledger_note, -v.cost, v.cost, 0, '{}', '{}', v_now);
  END IF;
  RETURN ROW('opened', spendable_credits(p.payer_id, v_now), tell_hold(h))::hold_answer;
END $$;

CREATE FUNCTION has_limits() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM limits WHERE ended_at IS NULL);
END $$;

-- The users of these requests who have no account yet.
CREATE FUNCTION newcomers(p_items hold_request[]) RETURNS account_claims[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(
    SELECT DISTINCT ON ((i.claims).id) i.claims FROM unnest(p_items) i
    WHERE NOT EXISTS (SELECT FROM user_accounts a WHERE a.id = (i.claims).id) ORDER BY (i.claims).id);
END $$;

-- A newcomer's account is opened before anything is locked: a user comes before its pool, and both before the counters, in every call.
-- Who may not wait finds it `busy`.
CREATE FUNCTION open_holds(p_items jsonb, p_wait boolean) RETURNS SETOF hold_answer LANGUAGE plpgsql AS $$
DECLARE
  v_limited boolean := has_limits();
  v_items hold_request[] := prepare_holds(p_items, v_limited);
  v_locked text[];
  v_answers hold_answer[];
  r hold_request;
BEGIN
  IF p_wait THEN
    PERFORM insert_account(c) FROM unnest(newcomers(v_items)) c;
  END IF;
  v_locked := lock_accounts(ARRAY(SELECT payer_id FROM unnest(v_items)), p_wait);
  IF v_limited THEN
    PERFORM lock_counters(ARRAY(SELECT l FROM unnest(v_items) i, unnest(i.limits) l WHERE i.payer_id = ANY (v_locked)));
  END IF;
  v_answers := open_together(v_items, v_locked, v_limited);
  FOR n IN 1 .. cardinality(v_items) LOOP
    IF (v_answers[n]).outcome IS NOT NULL THEN
      RETURN NEXT v_answers[n];
      CONTINUE;
    END IF;
    r := v_items[n];
    RETURN NEXT CASE
      WHEN r.payer_id = ANY (v_locked)
        AND (r.payer_id = (r.claims).id OR EXISTS (SELECT FROM user_accounts a WHERE a.id = (r.claims).id)) THEN open_hold(r)
      ELSE ROW('busy', NULL, json_build_object('payer_id', r.payer_id))::hold_answer END;
  END LOOP;
END $$;
