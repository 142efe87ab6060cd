-- What bounds a request beside the balance: blocks, budgets, rates and parallel answers. Counters are locked after the accounts (and
-- holds) they belong to, always in the order of their keys, so that two batches never wait for each other.

-- One counter a hold counts in; `amount` of it is reserved until the hold is closed. A request is used at once.
CREATE TYPE limit_count AS (limit_id uuid, subject text, window_start timestamptz, measure text, amount bigint);

-- A limit that applies to a request, with its counter's key.
CREATE TYPE applied_limit AS (
  limit_id uuid, scope text, subject text, measure text, "window" text, window_start timestamptz, most bigint
);

CREATE FUNCTION window_start(p_window text, p_zone text, p_now timestamptz) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN CASE p_window WHEN 'never' THEN '-infinity'::timestamptz ELSE date_trunc(p_window, p_now, p_zone) END;
END $$;

-- When a window ends; null for one that never does. Days in a zone may have 23 or 25 hours.
CREATE FUNCTION window_end(p_window text, p_start timestamptz, p_zone text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN CASE p_window
    WHEN 'never' THEN NULL
    ELSE ((p_start AT TIME ZONE p_zone) + ('1 ' || p_window)::interval) AT TIME ZONE p_zone END;
END $$;

-- Of several limits of one scope, measure and window the one that names the subject most closely applies.
CREATE FUNCTION limits_of(
  p_tenant text, p_user text, p_workspace text, p_api_key text, p_model text, p_now timestamptz
) RETURNS SETOF applied_limit LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY
    SELECT DISTINCT ON (l.scope, l.measure, l."window")
           l.id, l.scope, s.subject, l.measure, l."window", ledger.window_start(l."window", t.time_zone, p_now), l.amount::bigint
    FROM (VALUES
      ('tenant', '', NULL), ('workspace', p_workspace, NULL), ('member', p_workspace || ':' || p_user, p_workspace || ':*'),
      ('user', p_user, NULL), ('key', p_api_key, NULL), ('model', p_model, NULL)
    ) AS s (scope, subject, all_of)
    JOIN limits l ON l.tenant_id = p_tenant AND l.scope = s.scope AND l.ended_at IS NULL
      -- As limits_one_each has it: keys may have limits by the thousand, and a request looks at its own.
      AND coalesce(l.subject, '') IN ('', s.subject, s.all_of)
    JOIN tenants t ON t.id = l.tenant_id
    WHERE s.subject IS NOT NULL
    ORDER BY l.scope, l.measure, l."window", l.subject IS NULL, l.subject = s.subject DESC;
END $$;

CREATE FUNCTION lock_counters(p_limits applied_limit[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO limit_counters (limit_id, subject, window_start)
    SELECT DISTINCT k.limit_id, k.subject, k.window_start FROM unnest(p_limits) k ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING;
  PERFORM FROM limit_counters c
    WHERE (c.limit_id, c.subject, c.window_start) IN (SELECT k.limit_id, k.subject, k.window_start FROM unnest(p_limits) k)
    ORDER BY c.limit_id, c.subject, c.window_start FOR NO KEY UPDATE;
END $$;

CREATE FUNCTION lock_counters_of(p_hold_ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM limit_counters c
    WHERE (c.limit_id, c.subject, c.window_start) IN (
      SELECT k.limit_id, k.subject, k.window_start
      FROM streaming_sessions h, jsonb_populate_recordset(NULL::ledger.limit_count, h.limit_counts) k
      WHERE h.id = ANY (p_hold_ids) AND h.limit_counts IS NOT NULL)
    ORDER BY c.limit_id, c.subject, c.window_start FOR NO KEY UPDATE;
END $$;

-- Tokens of any kind that a request may use or has used.
CREATE FUNCTION tokens_of(p_units jsonb) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN (
    SELECT coalesce(sum(value::bigint), 0) FROM jsonb_each_text(p_units)
    WHERE key IN ('input', 'cache_read', 'cache_write_5m', 'cache_write_1h', 'output', 'reasoning'));
END $$;

CREATE TYPE limit_room AS (
  -- What is left of credits and of tokens where that is least; null without a limit.
  credits bigint, tokens bigint,
  -- The limits that leave so little, and the one that leaves nothing for one more request; for the refusal.
  credits_by jsonb, tokens_by jsonb, refused_by jsonb
);

-- What the limits leave for one more request. Their counters are locked.
CREATE FUNCTION room_in(p_limits applied_limit[], p_now timestamptz) RETURNS limit_room LANGUAGE plpgsql STABLE AS $$
DECLARE
  v limit_room;
  l record;
BEGIN
  FOR l IN
    SELECT k.measure, k.most - c.used - c.reserved AS room, jsonb_build_object(
             'id', k.limit_id, 'scope', k.scope, 'measure', k.measure, 'window', k."window", 'limit', m.amount,
             'resetsAt', e.at, 'resetsInSeconds', ceil(extract(epoch FROM e.at - p_now))) AS said
    FROM unnest(p_limits) k JOIN limit_counters c USING (limit_id, subject, window_start)
    JOIN limits m ON m.id = k.limit_id JOIN tenants t ON t.id = m.tenant_id
    CROSS JOIN LATERAL (SELECT window_end(k."window", k.window_start, t.time_zone) AS at) e
    ORDER BY 2, k.limit_id
  LOOP
    IF l.measure = 'credits' AND v.credits IS NULL THEN
      v.credits := l.room;
      v.credits_by := l.said;
    ELSIF l.measure = 'tokens' AND v.tokens IS NULL THEN
      v.tokens := l.room;
      v.tokens_by := l.said;
    ELSIF l.measure IN ('requests', 'parallel') AND l.room < 1 AND v.refused_by IS NULL THEN
      v.refused_by := l.said;
    END IF;
  END LOOP;
  RETURN v;
END $$;

-- What a hold of so many credits and tokens counts, as it is kept on the hold; null when no limit applies.
CREATE FUNCTION counts_for(p_limits applied_limit[], p_credits bigint, p_tokens bigint) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN (
    SELECT jsonb_agg(jsonb_build_object(
      'limit_id', k.limit_id, 'subject', k.subject, 'window_start', k.window_start, 'measure', k.measure,
      'amount', CASE k.measure WHEN 'credits' THEN p_credits WHEN 'tokens' THEN p_tokens ELSE 1 END))
    FROM unnest(p_limits) k);
END $$;

-- Reserves what a hold counts for when p_sign is 1, and takes it back when it is -1.
CREATE FUNCTION reserve_counts(p_counts jsonb, p_sign integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE limit_counters c SET reserved = c.reserved + p_sign * k.amount
    FROM jsonb_populate_recordset(NULL::ledger.limit_count, p_counts) k
    WHERE (c.limit_id, c.subject, c.window_start) = (k.limit_id, k.subject, k.window_start) AND k.measure <> 'requests';
END $$;

-- Books what a hold used, in the windows it was opened in.
CREATE FUNCTION use_counts(p_counts jsonb, p_credits bigint, p_tokens bigint, p_requests integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE limit_counters c SET
    used = c.used + CASE k.measure WHEN 'credits' THEN p_credits WHEN 'tokens' THEN p_tokens WHEN 'requests' THEN p_requests ELSE 0 END
    FROM jsonb_populate_recordset(NULL::ledger.limit_count, p_counts) k
    WHERE (c.limit_id, c.subject, c.window_start) = (k.limit_id, k.subject, k.window_start);
END $$;

-- Why this request may not go on, or null: the code is what the caller is told.
CREATE FUNCTION block_on(p_user text, p_workspace text, p_api_key text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (
    SELECT CASE kind WHEN 'user' THEN 'account_disabled' WHEN 'key' THEN 'key_revoked' ELSE 'workspace_disabled' END FROM blocks
    WHERE (kind, id) IN (('user', p_user), ('workspace', p_workspace), ('key', p_api_key)) ORDER BY kind LIMIT 1);
END $$;

-- Forgets windows that nothing can count in any more; the number forgotten.
CREATE FUNCTION forget_counters(p_limit integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_count bigint;
BEGIN
  DELETE FROM limit_counters WHERE ctid = ANY (ARRAY(
    SELECT c.ctid FROM limit_counters c JOIN limits l ON l.id = c.limit_id
    WHERE c.reserved = 0 AND c.window_start < ledger_now() - CASE l."window"
      WHEN 'minute' THEN interval '1 day' WHEN 'day' THEN interval '40 days' ELSE interval '400 days' END
      AND c.window_start > '-infinity'
    LIMIT p_limit FOR NO KEY UPDATE OF c SKIP LOCKED));
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
END $$;
