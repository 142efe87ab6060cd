-- Opening many holds with a few statements: what open_hold() does for each of them, for all whose case is common. The others keep their
-- place: behind the first that is not common, every hold of that account is opened by open_hold().

-- An item and its place in the batch, what it takes from which lot (null: it costs nothing), and what can be spent after it and all
-- before it.
CREATE TYPE common_hold AS (
  n bigint, item hold_request, tenant_id text, cost bigint, lot_id bigint, available bigint, is_newer_profile boolean
);

-- Takes over newer profiles, as lock_account() does.
CREATE FUNCTION renew_profiles(p_items hold_request[], p_locked text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE user_accounts a SET
    username = coalesce(c.username, a.username), email = coalesce(c.email, a.email), role = coalesce(c.role, a.role),
    profile_issued_at = c.issued_at
    FROM (
      SELECT DISTINCT ON ((i.claims).id) (i.claims).* FROM unnest(p_items) i
      WHERE (i.claims).id = i.payer_id AND i.payer_id = ANY (p_locked) AND (i.claims).issued_at IS NOT NULL
      ORDER BY (i.claims).id, (i.claims).issued_at DESC) c
    WHERE a.id = c.id AND c.issued_at > a.profile_issued_at;
END $$;

-- The items with a limit that could not take all that the batch asks of it; the counters are locked.
CREATE FUNCTION crowded_holds(p_items hold_request[]) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(
    SELECT t.hold_id FROM (
      SELECT i.hold_id, k.most - c.used - c.reserved AS room, sum(CASE k.measure
               WHEN 'credits' THEN line_charge(i.line, i.output) WHEN 'tokens' THEN tokens_of(i.units) ELSE 1 END)
               OVER (PARTITION BY k.limit_id, k.subject, k.window_start) AS asked
      FROM unnest(p_items) i CROSS JOIN LATERAL unnest(i.limits) k JOIN limit_counters c USING (limit_id, subject, window_start)
    ) t WHERE t.asked > t.room);
END $$;

-- Counts holds in their limits, as open_hold() does for one.
CREATE FUNCTION count_openings(p_opened common_hold[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE limit_counters c SET reserved = c.reserved + t.reserved, used = c.used + t.requests
    FROM (
      SELECT k.limit_id, k.subject, k.window_start,
             sum(CASE k.measure WHEN 'credits' THEN o.cost WHEN 'tokens' THEN tokens_of((o.item).units) WHEN 'requests' THEN 0
                 ELSE 1 END)::bigint AS reserved,
             count(*) FILTER (WHERE k.measure = 'requests') AS requests
      FROM unnest(p_opened) o CROSS JOIN LATERAL unnest((o.item).limits) k GROUP BY 1, 2, 3) t
    WHERE (c.limit_id, c.subject, c.window_start) = (t.limit_id, t.subject, t.window_start);
END $$;

-- The items that can be opened together: unknown so far, not blocked, with room in all limits, and paid by the one lot that is first in
-- burn order, after all that the items before them take from it. The accounts are locked.
CREATE FUNCTION common_holds(p_items hold_request[], p_locked text[], p_limited boolean, p_now timestamptz) RETURNS common_hold[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_blocks boolean := EXISTS (SELECT FROM blocks);
  v_crowded uuid[] := CASE WHEN p_limited THEN crowded_holds(p_items) ELSE '{}' END;
BEGIN
  RETURN ARRAY(
    SELECT ROW(j.n, p_items[j.n], j.tenant_id, j.cost, j.lot_id,
               j.spendable - sum(j.cost) OVER (PARTITION BY j.payer_id ORDER BY j.n), j.is_newer_profile)::common_hold FROM (
      SELECT k.*, bool_and(k.is_first AND k.is_covered AND k.hold_id <> ALL (v_crowded)
                           AND (NOT v_blocks OR block_on(k.user_id, k.workspace_id, k.api_key_id) IS NULL)
                           AND (k.payer_id = k.user_id OR (SELECT u.id FROM user_accounts u WHERE u.id = k.user_id) IS NOT NULL)
                           AND NOT k.is_known) OVER (PARTITION BY k.payer_id ORDER BY k.n) AS is_common
      FROM (
        SELECT i.ordinality AS n, i.hold_id, (i.claims).id AS user_id, i.payer_id, i.workspace_id, i.api_key_id, a.tenant_id,
               c.cost, l.id AS lot_id, i.payer_id = (i.claims).id AND (i.claims).issued_at > a.profile_issued_at AS is_newer_profile,
               row_number() OVER (PARTITION BY i.hold_id ORDER BY i.ordinality) = 1 AND (
                 i.session_id IS NULL
                 OR row_number() OVER (PARTITION BY (i.claims).id, i.session_id ORDER BY i.ordinality) = 1) AS is_first,
               c.cost = 0 OR coalesce(
                 sum(c.cost) OVER (PARTITION BY l.id ORDER BY i.ordinality) <= l.remaining_credits, false) AS is_covered,
               -- Looked up one by one: of EXISTS the planner might make a table of all there are. A key that is used shows at the insert.
               num_nonnulls(
                 (SELECT s.id FROM streaming_sessions s WHERE s.id = i.hold_id),
                 CASE WHEN i.session_id IS NOT NULL THEN (
                   SELECT s.id FROM streaming_sessions s WHERE s.user_id = (i.claims).id AND s.session_id = i.session_id) END) > 0 AS is_known,
               (SELECT coalesce(sum(s.remaining_credits), 0)::bigint FROM credit_allocations s
                WHERE s.user_id = i.payer_id AND s.remaining_credits > 0 AND s.effective_at <= p_now
                  AND (s.expires_at IS NULL OR s.expires_at > p_now)) AS spendable
        FROM unnest(p_items) WITH ORDINALITY i
        JOIN user_accounts a ON a.id = i.payer_id
        -- OFFSET 0: reckoned once, wherever it is used.
        CROSS JOIN LATERAL (SELECT line_charge(i.line, i.output) AS cost OFFSET 0) c
        LEFT JOIN LATERAL (
          SELECT s.id, s.remaining_credits FROM credit_allocations s
          WHERE s.user_id = i.payer_id AND s.remaining_credits > 0 AND s.effective_at <= p_now
            AND (s.expires_at IS NULL OR s.expires_at > p_now)
            AND (s.models IS NULL OR i.model = ANY (s.models)) AND (s.upstreams IS NULL OR i.upstream = ANY (s.upstreams))
            AND (s.workspace_id IS NULL OR s.workspace_id = i.workspace_id)
          ORDER BY s.priority, s.expires_at NULLS LAST, s.is_paid, s.effective_at, s.id LIMIT 1) l ON c.cost > 0
        WHERE i.payer_id = ANY (p_locked)
      ) k
    ) j WHERE j.is_common ORDER BY j.n);
END $$;

-- The answers to those that were opened together, each in the place of its item; null for the others. The accounts are locked.
CREATE FUNCTION open_together(p_items hold_request[], p_locked text[], p_limited boolean) RETURNS hold_answer[] LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := ledger_now();
  v_common common_hold[] := common_holds(p_items, p_locked, p_limited, v_now);
  v_opened common_hold[] := '{}';
  c common_hold;
  r record;
  v_at integer := 0;
  v_lines ledger_line[];
  v_renews boolean := false;
  v_answers hold_answer[];
BEGIN
  IF v_common = '{}' THEN
    RETURN v_answers;
  END IF;
  FOR r IN
    INSERT INTO streaming_sessions AS s (
      id, tenant_id, user_id, payer_id, opened_by, session_id, open_key, open_hash, upstream, model, chatflow_id, workspace_id,
      api_key_id, price_rule_id, units, clamped, metadata, held_credits, limit_counts, lease_expires_at, created_at
    ) SELECT
      (o.item).hold_id, o.tenant_id, ((o.item).claims).id, (o.item).payer_id, (o.item).opened_by, (o.item).session_id,
      (o.item).open_key, (o.item).open_hash, (o.item).upstream, (o.item).model, (o.item).chatflow_id, (o.item).workspace_id,
      (o.item).api_key_id, (o.item).price_rule_id, (o.item).units, false, coalesce((o.item).metadata, '{}'), o.cost,
      CASE WHEN (o.item).limits <> '{}' THEN counts_for((o.item).limits, o.cost, tokens_of((o.item).units)) END,
      v_now + make_interval(secs => (o.item).lease_seconds), v_now
      FROM unnest(v_common) o
    ON CONFLICT DO NOTHING RETURNING s.id, tell_hold(s) AS hold
  LOOP
    -- In the order of v_common; missing is whose id or key was used before: open_hold() knows the answer.
    LOOP
      v_at := v_at + 1;
      c := v_common[v_at];
      EXIT WHEN (c.item).hold_id = r.id;
      IF v_at > cardinality(v_common) THEN
        RAISE EXCEPTION 'hold % came out of its order', r.id USING ERRCODE = 'internal_error';
      END IF;
    END LOOP;
    v_opened := v_opened || c;
    v_renews := v_renews OR coalesce(c.is_newer_profile, false);
    v_answers[c.n] := ROW('opened', c.available, r.hold)::hold_answer;
  END LOOP;
  IF cardinality(v_opened) < cardinality(v_common) THEN
    FOR r IN
      SELECT o.n, sum(x.cost)::bigint AS untaken
      FROM unnest(v_opened) o JOIN unnest(v_common) x ON (x.item).payer_id = (o.item).payer_id AND x.n < o.n
      WHERE (v_answers[x.n]).outcome IS NULL GROUP BY o.n
    LOOP
      v_answers[r.n].available_credits := (v_answers[r.n]).available_credits + r.untaken;
    END LOOP;
  END IF;
  IF p_limited THEN
    PERFORM count_openings(v_opened);
  END IF;
  v_lines := ARRAY(
    SELECT ROW((o.item).payer_id, ROW('hold', (o.item).hold_id, NULL, NULL, (o.item).actor, NULL, (o.item).request_id)::ledger_note,
               -o.cost, o.cost, '{}', '{}')::ledger_line
    FROM unnest(v_opened) o WHERE o.cost > 0);
  IF v_lines <> '{}' THEN
    UPDATE credit_allocations l SET remaining_credits = l.remaining_credits - t.amount, held_credits = l.held_credits + t.amount
      FROM (SELECT o.lot_id, sum(o.cost)::bigint AS amount FROM unnest(v_opened) o WHERE o.cost > 0 GROUP BY o.lot_id) t
      WHERE l.id = t.lot_id;
    INSERT INTO hold_lots (hold_id, allocation_id, held_credits)
      SELECT (o.item).hold_id, o.lot_id, o.cost FROM unnest(v_opened) o WHERE o.cost > 0;
    PERFORM ledger_post_together(v_lines, v_now);
  END IF;
  IF v_renews THEN
    PERFORM renew_profiles(p_items, p_locked);
  END IF;
  RETURN v_answers;
END $$;
