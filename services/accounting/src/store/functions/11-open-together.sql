-- Opening many holds with a few statements: what open_hold() does for each of them, for all whose case is common. The others keep their
-- place: behind the first that is not common, every hold of that account is opened by open_hold().

-- An item and its place in the batch, and what it takes from which lot; lot_id null: it costs nothing.
CREATE TYPE common_hold AS (n bigint, item hold_request, tenant_id text, cost bigint, lot_id bigint, spendable bigint);

-- A hold that was opened, and what could be spent then.
CREATE TYPE opened_hold AS (
  n bigint, hold_id uuid, payer_id text, cost bigint, lot_id bigint, actor text, request_id text, available bigint,
  is_limited boolean, hold jsonb
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
CREATE FUNCTION count_openings(p_opened opened_hold[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE limit_counters c SET reserved = c.reserved + t.reserved, used = c.used + t.requests
    FROM (
      SELECT k.limit_id, k.subject, k.window_start, sum(CASE k.measure WHEN 'requests' THEN 0 ELSE k.amount END)::bigint AS reserved,
             count(*) FILTER (WHERE k.measure = 'requests') AS requests
      FROM unnest(p_opened) o CROSS JOIN LATERAL jsonb_populate_recordset(NULL::ledger.limit_count, o.hold -> 'limit_counts') k
      WHERE o.is_limited GROUP BY 1, 2, 3) t
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
    SELECT ROW(j.n, p_items[j.n], j.tenant_id, j.cost, j.lot_id, j.spendable)::common_hold FROM (
      SELECT k.*, bool_and(k.is_first AND k.is_covered AND k.hold_id <> ALL (v_crowded)
                           AND (NOT v_blocks OR block_on(k.user_id, k.workspace_id, k.api_key_id) IS NULL)
                           AND (k.payer_id = k.user_id OR (SELECT u.id FROM user_accounts u WHERE u.id = k.user_id) IS NOT NULL)
                           AND NOT k.is_known) OVER (PARTITION BY k.payer_id ORDER BY k.n) AS is_common
      FROM (
        SELECT i.ordinality AS n, i.hold_id, (i.claims).id AS user_id, i.payer_id, i.workspace_id, i.api_key_id, a.tenant_id,
               c.cost, l.id AS lot_id,
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

-- Inserts the holds; who lost a race for an id or a key is not among those returned.
CREATE FUNCTION insert_holds(p_common common_hold[], p_now timestamptz) RETURNS opened_hold[] LANGUAGE plpgsql AS $$
DECLARE
  v opened_hold[];
BEGIN
  WITH inserted AS (
    INSERT INTO streaming_sessions AS s (
      id, tenant_id, user_id, payer_id, opened_by, session_id, open_key, open_hash, upstream, model, chatflow_id, workspace_id,
      api_key_id, price_rule_id, units, clamped, metadata, held_credits, limit_counts, lease_expires_at, created_at
    ) SELECT
      (c.item).hold_id, c.tenant_id, ((c.item).claims).id, (c.item).payer_id, (c.item).opened_by, (c.item).session_id,
      (c.item).open_key, (c.item).open_hash, (c.item).upstream, (c.item).model, (c.item).chatflow_id, (c.item).workspace_id,
      (c.item).api_key_id, (c.item).price_rule_id, (c.item).units, false, coalesce((c.item).metadata, '{}'), c.cost,
      CASE WHEN (c.item).limits <> '{}' THEN counts_for((c.item).limits, c.cost, tokens_of((c.item).units)) END,
      p_now + make_interval(secs => (c.item).lease_seconds), p_now
      FROM unnest(p_common) c
    ON CONFLICT DO NOTHING RETURNING id, to_jsonb(s) AS hold
  ), opened AS (
    SELECT c.n, (c.item).hold_id, (c.item).payer_id, c.cost, c.lot_id, (c.item).actor, (c.item).request_id,
           (c.spendable - sum(c.cost) OVER (PARTITION BY (c.item).payer_id ORDER BY c.n))::bigint AS available,
           (c.item).limits <> '{}' AS is_limited, i.hold
    FROM inserted i JOIN unnest(p_common) c ON (c.item).hold_id = i.id
  )
  SELECT array_agg(o.*::opened_hold ORDER BY o.n) INTO v FROM opened o;
  RETURN coalesce(v, '{}');
END $$;

-- The answers to those that were opened together, each in the place of its item; null for the others. The accounts are locked.
CREATE FUNCTION open_together(p_items hold_request[], p_locked text[], p_limited boolean) RETURNS hold_answer[] LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := ledger_now();
  v_common common_hold[];
  v_opened opened_hold[];
  r opened_hold;
  v_lines ledger_line[];
  v_answers hold_answer[];
BEGIN
  PERFORM renew_profiles(p_items, p_locked);
  v_common := common_holds(p_items, p_locked, p_limited, v_now);
  IF v_common = '{}' THEN
    RETURN v_answers;
  END IF;
  v_opened := insert_holds(v_common, v_now);
  IF p_limited THEN
    PERFORM count_openings(v_opened);
  END IF;
  v_lines := ARRAY(
    SELECT ROW(o.payer_id, ROW('hold', o.hold_id, NULL, NULL, o.actor, NULL, o.request_id)::ledger_note, -o.cost, o.cost, '{}',
               '{}')::ledger_line
    FROM unnest(v_opened) o WHERE o.cost > 0 ORDER BY o.n);
  IF v_lines <> '{}' THEN
    UPDATE credit_allocations l SET remaining_credits = l.remaining_credits - t.amount, held_credits = l.held_credits + t.amount
      FROM (SELECT o.lot_id, sum(o.cost)::bigint AS amount FROM unnest(v_opened) o WHERE o.cost > 0 GROUP BY o.lot_id) t
      WHERE l.id = t.lot_id;
    INSERT INTO hold_lots (hold_id, allocation_id, held_credits)
      SELECT o.hold_id, o.lot_id, o.cost FROM unnest(v_opened) o WHERE o.cost > 0;
    PERFORM ledger_post_together(v_lines, v_now);
  END IF;
  FOREACH r IN ARRAY v_opened LOOP
    v_answers[r.n] := ROW('opened', r.available, r.hold)::hold_answer;
  END LOOP;
  RETURN v_answers;
END $$;
