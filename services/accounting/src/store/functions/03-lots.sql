-- Granting, revoking and expiring. Each function is one business step: it locks the account, decides and books.
-- A refusal is an answer (`outcome`), never an exception, so that one refused item of a batch does not undo its neighbours.

CREATE TYPE lot_request AS (
  user_id text, source text, credits bigint, priority integer, effective_at timestamptz, expires_at timestamptz, expiry_days integer,
  models text[], upstreams text[], workspace_id text, grant_key text, actor text, reason text, request_id text
);

-- Adds a lot to a locked account; a debt is repaid from it first. Returns the lot's id.
CREATE FUNCTION add_lot(p lot_request, p_type text, p_now timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_tenant text;
  v_repaid bigint;
  v_id bigint := nextval('credit_allocations_id_seq');
  v_effective timestamptz := coalesce(p.effective_at, p_now);
BEGIN
  SELECT tenant_id, least(debt_credits, p.credits) INTO STRICT v_tenant, v_repaid FROM user_accounts WHERE id = p.user_id;
  INSERT INTO credit_allocations (
    id, tenant_id, user_id, source, priority, total_credits, remaining_credits, consumed_credits, effective_at, expires_at,
    models, upstreams, workspace_id, grant_key, allocated_by, notes, allocated_at
  ) OVERRIDING SYSTEM VALUE VALUES (
    v_id, v_tenant, p.user_id, p.source, coalesce(p.priority, 100), p.credits, p.credits - v_repaid, v_repaid, v_effective,
    coalesce(p.expires_at, v_effective + make_interval(hours => 24 * p.expiry_days)), p.models, p.upstreams, p.workspace_id,
    p.grant_key, p.actor, p.reason, p_now
  );
  PERFORM ledger_post(
    p.user_id, ROW(p_type, NULL, v_id, NULL, p.actor, p.reason, p.request_id)::ledger_note, p.credits - v_repaid, 0, -v_repaid,
    ARRAY['issuance:' || p.source], ARRAY[-p.credits], p_now);
  RETURN v_id;
END $$;

CREATE TYPE lot_answer AS (outcome text, allocation_id bigint, user_id text, remaining_credits bigint, expires_at timestamptz);

-- Whether the term of a lot lies within ten years of now and ends after it began.
CREATE FUNCTION plausible_term(p lot_request, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  v_effective timestamptz := coalesce(p.effective_at, p_now);
BEGIN
  RETURN v_effective BETWEEN p_now - interval '3650 days' AND p_now + interval '3650 days'
    AND (p.expires_at IS NULL OR p.expires_at > greatest(v_effective, p_now) AND p.expires_at <= v_effective + interval '3650 days');
END $$;

-- outcome: granted | duplicate (of the lot with the same grant key) | bad_term | unknown | too_much
CREATE FUNCTION grant_credits(p lot_request) RETURNS lot_answer LANGUAGE plpgsql AS $$
DECLARE
  a user_accounts;
  v_answer lot_answer;
BEGIN
  SELECT * INTO a FROM user_accounts WHERE id = p.user_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    v_answer.outcome := 'unknown';
    RETURN v_answer;
  END IF;
  SELECT 'duplicate', l.id INTO v_answer.outcome, v_answer.allocation_id
    FROM credit_allocations l WHERE l.user_id = p.user_id AND l.source = p.source AND l.grant_key = p.grant_key;
  IF v_answer.outcome = 'duplicate' THEN
    RETURN v_answer;
  ELSIF NOT plausible_term(p, ledger_now()) THEN
    v_answer.outcome := 'bad_term';
  ELSIF a.total_credits + p.credits > 9007199254740991 THEN
    v_answer.outcome := 'too_much';
  ELSE
    v_answer.outcome := 'granted';
    v_answer.allocation_id := add_lot(p, 'grant', ledger_now());
    SELECT l.user_id, l.remaining_credits, l.expires_at INTO v_answer.user_id, v_answer.remaining_credits, v_answer.expires_at
      FROM credit_allocations l WHERE l.id = v_answer.allocation_id;
  END IF;
  RETURN v_answer;
END $$;

CREATE TYPE revocation_answer AS (
  outcome text, allocation_id bigint, user_id text, revoked_credits bigint, held_credits bigint
);

-- Takes back what remains of a lot; what is held of it still settles, and lapses when it is released. outcome: revoked | unknown
CREATE FUNCTION revoke_lot(p_id bigint, p_actor text, p_reason text, p_request_id text) RETURNS revocation_answer LANGUAGE plpgsql AS $$
DECLARE
  l credit_allocations;
  v_now timestamptz;
BEGIN
  SELECT * INTO l FROM credit_allocations WHERE id = p_id;
  IF NOT FOUND THEN
    RETURN ROW('unknown', p_id, NULL, 0, 0)::revocation_answer;
  END IF;
  PERFORM 1 FROM user_accounts WHERE id = l.user_id FOR NO KEY UPDATE;
  SELECT * INTO l FROM credit_allocations WHERE id = p_id;
  v_now := ledger_now();
  IF l.voided_at IS NULL THEN
    UPDATE credit_allocations SET remaining_credits = 0, revoked_credits = revoked_credits + remaining_credits, voided_at = v_now
      WHERE id = p_id;
    IF l.remaining_credits > 0 THEN
      PERFORM ledger_post(
        l.user_id, ROW('revoke', NULL, p_id, NULL, p_actor, p_reason, p_request_id)::ledger_note, -l.remaining_credits, 0, 0,
        ARRAY['issuance:' || l.source], ARRAY[l.remaining_credits::bigint], v_now);
    END IF;
  END IF;
  RETURN ROW('revoked', p_id, l.user_id, l.revoked_credits + l.remaining_credits, l.held_credits)::revocation_answer;
END $$;

-- Books what has lapsed, for at most p_limit accounts; an account that is busy now has its turn next time. Returns the lots booked.
CREATE FUNCTION expire_lots(p_limit integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_user text;
  v_lot record;
  v_now timestamptz;
  v_count bigint := 0;
BEGIN
  FOR v_user IN
    SELECT id FROM user_accounts WHERE id IN (
      SELECT DISTINCT user_id FROM credit_allocations WHERE remaining_credits > 0 AND expires_at <= (SELECT ledger_now()) LIMIT p_limit)
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
  LOOP
    v_now := ledger_now();
    FOR v_lot IN
      SELECT id, remaining_credits FROM credit_allocations
      WHERE user_id = v_user AND remaining_credits > 0 AND expires_at <= v_now ORDER BY id
    LOOP
      UPDATE credit_allocations SET remaining_credits = 0, expired_credits = expired_credits + v_lot.remaining_credits
        WHERE id = v_lot.id;
      PERFORM ledger_post(
        v_user, ROW('expire', NULL, v_lot.id, NULL, 'system', NULL, NULL)::ledger_note, -v_lot.remaining_credits, 0, 0,
        ARRAY['expired'], ARRAY[v_lot.remaining_credits::bigint], v_now);
      v_count := v_count + 1;
    END LOOP;
  END LOOP;
  RETURN v_count;
END $$;

-- Corrections of a balance by people.

CREATE TYPE adjustment_request AS (
  user_id text, target bigint, change bigint, largest_change bigint, expiry_days integer, actor text, reason text, request_id text
);

CREATE TYPE adjustment_answer AS (outcome text, user_id text, previous_credits bigint, new_credits bigint);

-- Changes what an account can spend by `change`, or to `target`. outcome: adjusted | unknown | negative | capped | too_much
CREATE FUNCTION adjust_credits(p adjustment_request) RETURNS adjustment_answer LANGUAGE plpgsql AS $$
DECLARE
  a user_accounts;
  v_answer adjustment_answer;
  v_now timestamptz;
  v_change bigint;
BEGIN
  IF num_nonnulls(p.change, p.target) <> 1 THEN
    RAISE EXCEPTION 'an adjustment needs either a change or a target' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT * INTO a FROM user_accounts WHERE id = p.user_id FOR NO KEY UPDATE;
  v_now := ledger_now();
  v_answer.user_id := p.user_id;
  v_answer.previous_credits := spendable_credits(p.user_id, v_now);
  v_change := coalesce(p.change, p.target - v_answer.previous_credits);
  v_answer.outcome := CASE
    WHEN a.id IS NULL THEN 'unknown'
    WHEN abs(v_change) > p.largest_change THEN 'capped'
    WHEN v_answer.previous_credits + v_change < 0 THEN 'negative'
    WHEN a.total_credits + v_change > 9007199254740991 THEN 'too_much'
    ELSE 'adjusted' END;
  IF v_answer.outcome = 'adjusted' AND v_change > 0 THEN
    PERFORM add_lot(
      ROW(p.user_id, 'adjustment', v_change, NULL, NULL, NULL, p.expiry_days, NULL, NULL, NULL, NULL, p.actor, p.reason, p.request_id)::lot_request,
      'adjustment', v_now);
  ELSIF v_answer.outcome = 'adjusted' AND v_change < 0 THEN
    PERFORM remove_from_lots(p.user_id, -v_change, v_now);
    PERFORM ledger_post(
      p.user_id, ROW('adjustment', NULL, NULL, NULL, p.actor, p.reason, p.request_id)::ledger_note, v_change, 0, 0,
      ARRAY['issuance:adjustment'], ARRAY[-v_change], v_now);
  END IF;
  v_answer.new_credits := spendable_credits(p.user_id, v_now);
  RETURN v_answer;
END $$;

CREATE FUNCTION remove_from_lots(p_user_id text, p_amount bigint, p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_lot record;
  v_left bigint := p_amount;
  v_part bigint;
BEGIN
  FOR v_lot IN
    SELECT id, remaining_credits FROM credit_allocations
    WHERE user_id = p_user_id AND remaining_credits > 0 AND effective_at <= p_now AND (expires_at IS NULL OR expires_at > p_now)
    ORDER BY priority, expires_at NULLS LAST, is_paid, effective_at, id
  LOOP
    EXIT WHEN v_left = 0;
    v_part := least(v_left, v_lot.remaining_credits);
    UPDATE credit_allocations SET remaining_credits = remaining_credits - v_part, revoked_credits = revoked_credits + v_part
      WHERE id = v_lot.id;
    v_left := v_left - v_part;
  END LOOP;
  IF v_left > 0 THEN
    RAISE EXCEPTION 'account % has % credits less on its lots than were to be removed', p_user_id, v_left;
  END IF;
END $$;
