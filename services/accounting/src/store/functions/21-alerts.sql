-- Events for the world outside, written in the same transaction as what they tell of. Their types and payloads are those of
-- @tollgate/contracts (accounting/outbox-events.ts); how they are delivered is the service's affair.

CREATE FUNCTION emit_event(p_tenant_id text, p_type text, p_user_id text, p_payload jsonb, p_now timestamptz)
RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
  v_id uuid;
BEGIN
  INSERT INTO outbox (tenant_id, type, user_id, payload, created_at)
    VALUES (p_tenant_id, p_type, p_user_id, p_payload, coalesce(p_now, ledger_now())) RETURNING id INTO v_id;
  RETURN v_id;
END $$;

-- Low-balance alerts. Measured is available + held, because a hold is not yet spending.
-- A threshold is crossed when that sum falls to it or below it. Armed are the thresholds below the present sum, so that each is
-- crossed once, and again only after the sum has risen above it. alert_below is the highest armed one, plus 1.

CREATE TYPE alert_threshold AS (kind text, value bigint, credits bigint);

-- The thresholds of an account, in credits.
CREATE FUNCTION alert_thresholds(p_tenant_id text, p_base bigint) RETURNS SETOF alert_threshold LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY
    SELECT 'percent', p::bigint, div(p_base::numeric * p, 100)::bigint FROM tenants, unnest(alert_percentages) p WHERE id = p_tenant_id
    UNION ALL SELECT 'credits', c, c FROM tenants, unnest(alert_credits) c WHERE id = p_tenant_id;
END $$;

CREATE FUNCTION armed_below(p_tenant_id text, p_base bigint, p_sum bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(max(t.credits) + 1, 0) FROM alert_thresholds(p_tenant_id, p_base) t WHERE t.credits < p_sum);
END $$;

-- Called by ledger_post() after a transaction that raised the sum or took it below alert_below; the account is locked.
-- A grant sets the base of the percentages anew; a refund arms again what it rises above, on the old base.
CREATE FUNCTION watch_balance(t credit_transactions) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_sum bigint := t.available_after + t.held_after;
  v_is_rise boolean := t.available_change + t.held_change > 0;
  v_low alert_threshold;
  a user_accounts;
BEGIN
  SELECT * INTO STRICT a FROM user_accounts WHERE id = t.user_id;
  IF v_is_rise AND t.type IN ('grant', 'adjustment') THEN
    a.alert_base := v_sum;
  END IF;
  IF NOT v_is_rise THEN
    -- One event for all that one transaction crossed, the lowest: it says how things stand now, and the others say less.
    SELECT * INTO v_low FROM alert_thresholds(a.tenant_id, a.alert_base) h
      WHERE h.credits >= v_sum AND h.credits < a.alert_below ORDER BY h.credits, h.kind DESC, h.value LIMIT 1;
    IF FOUND THEN
      PERFORM emit_event(a.tenant_id, 'credits.low', a.id, jsonb_build_object(
        'userId', a.id, 'availableCredits', t.available_after, 'heldCredits', t.held_after, 'baseCredits', a.alert_base,
        'threshold', jsonb_build_object('kind', v_low.kind, 'value', v_low.value, 'credits', v_low.credits),
        'transactionId', t.id, 'requestId', t.request_id), t.created_at);
    END IF;
  END IF;
  UPDATE user_accounts SET
    alert_base = a.alert_base, alert_below = armed_below(a.tenant_id, a.alert_base, v_sum),
    alert_version = (SELECT alert_version FROM tenants WHERE id = a.tenant_id)
    WHERE id = a.id;
END $$;

-- What an account had right after its last grant, by the ledger: for accounts older than their alerts.
CREATE FUNCTION last_granted_sum(p_user_id text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN coalesce((
    SELECT available_after + held_after FROM credit_transactions
    WHERE user_id = p_user_id AND type IN ('grant', 'adjustment') AND available_change > 0 ORDER BY account_seq DESC LIMIT 1), 0);
END $$;

-- Brings up to p_limit accounts to the present settings; one that is busy has its turn next time. A threshold that the balance is
-- at or below already is not armed: nobody crosses it now. Returns the number of accounts.
CREATE FUNCTION rearm_alerts(p_limit integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_tenant tenants;
  v_count bigint;
  v_sum bigint := 0;
BEGIN
  FOR v_tenant IN SELECT * FROM tenants LOOP
    WITH stale AS MATERIALIZED (
      SELECT id, total_credits + held_credits AS credits,
             CASE WHEN alert_version = 0 THEN last_granted_sum(id) ELSE alert_base END AS base
      FROM user_accounts WHERE tenant_id = v_tenant.id AND alert_version < v_tenant.alert_version
      ORDER BY alert_version LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED)
    UPDATE user_accounts a SET
      alert_base = s.base, alert_below = armed_below(v_tenant.id, s.base, s.credits), alert_version = v_tenant.alert_version
      FROM stale s WHERE a.id = s.id;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_sum := v_sum + v_count;
  END LOOP;
  RETURN v_sum;
END $$;

CREATE TYPE tenant_request AS (time_zone text, alert_percentages integer[], alert_credits bigint[], actor text, request_id text);

-- Changes what is given, and tells it. outcome: changed | unknown_zone
CREATE FUNCTION change_tenant(p_tenant_id text, p tenant_request) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_old tenants;
  v_new tenants;
  v_shown jsonb;
BEGIN
  SELECT * INTO STRICT v_old FROM tenants WHERE id = p_tenant_id FOR NO KEY UPDATE;
  -- PostgreSQL takes more spellings for a zone than an installation should depend on.
  IF p.time_zone IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_timezone_names WHERE name = p.time_zone AND name !~ '^posix' AND name NOT IN ('localtime', 'Factory')) THEN
    RETURN 'unknown_zone';
  END IF;
  UPDATE tenants SET
    time_zone = coalesce(p.time_zone, time_zone),
    alert_percentages = coalesce(p.alert_percentages, alert_percentages),
    alert_credits = coalesce(p.alert_credits, alert_credits),
    alert_version = alert_version + CASE
      WHEN (coalesce(p.alert_percentages, alert_percentages), coalesce(p.alert_credits, alert_credits))
           IS DISTINCT FROM (alert_percentages, alert_credits) THEN 1 ELSE 0 END
    WHERE id = p_tenant_id RETURNING * INTO v_new;
  IF tenant_settings(v_new) <> tenant_settings(v_old) THEN
    v_shown := jsonb_build_object(
      'actor', p.actor, 'requestId', p.request_id, 'before', tenant_settings(v_old), 'after', tenant_settings(v_new));
    PERFORM emit_event(p_tenant_id, 'tenant.changed', NULL, v_shown, ledger_now());
  END IF;
  RETURN 'changed';
END $$;

CREATE FUNCTION tenant_settings(t tenants) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN jsonb_build_object('timeZone', t.time_zone, 'alertPercentages', t.alert_percentages, 'alertCredits', t.alert_credits);
END $$;
