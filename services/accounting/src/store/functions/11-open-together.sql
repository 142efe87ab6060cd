-- Opening many holds with a few statements: what open_hold() does for each of them, for all whose case is common. The others keep their
-- place: behind the first that is not common, every hold of that account is opened by open_hold().

-- Which item of the batch, and what it takes from which lot; lot_id null: it costs nothing.
CREATE TYPE common_hold AS (n bigint, hold_id uuid, payer_id text, tenant_id text, cost bigint, lot_id bigint, spendable bigint);

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

-- The items that can be opened together: unknown so far, not blocked, without limits, and paid by the one lot that is first in burn
-- order, after all that the items before them take from it. The accounts are locked.
CREATE FUNCTION common_holds(p_items hold_request[], p_locked text[], p_now timestamptz) RETURNS common_hold[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_blocks boolean := EXISTS (SELECT FROM blocks);
BEGIN
  RETURN ARRAY(
    SELECT ROW(j.n, j.hold_id, j.payer_id, j.tenant_id, j.cost, j.lot_id, j.spendable)::common_hold FROM (
      SELECT k.*, bool_and(k.is_first AND k.is_covered AND k.limits = '{}'
                           AND (NOT v_blocks OR block_on(k.user_id, k.workspace_id, k.api_key_id) IS NULL)
                           AND (k.payer_id = k.user_id OR EXISTS (SELECT FROM user_accounts u WHERE u.id = k.user_id))
                           AND NOT k.is_known) OVER (PARTITION BY k.payer_id ORDER BY k.n) AS is_common
      FROM (
        SELECT i.ordinality AS n, i.hold_id, (i.claims).id AS user_id, i.payer_id, i.workspace_id, i.api_key_id, i.limits, a.tenant_id,
               c.cost, l.id AS lot_id,
               row_number() OVER (PARTITION BY i.hold_id ORDER BY i.ordinality) = 1 AS is_first,
               c.cost = 0 OR coalesce(sum(c.cost) OVER (PARTITION BY l.id ORDER BY i.ordinality) <= l.remaining_credits, false) AS is_covered,
               EXISTS (SELECT FROM streaming_sessions s WHERE s.id = i.hold_id)
                 OR EXISTS (SELECT FROM streaming_sessions s WHERE s.user_id = (i.claims).id AND s.open_key = i.open_key)
                 OR EXISTS (SELECT FROM streaming_sessions s WHERE s.user_id = (i.claims).id AND s.session_id = i.session_id) AS is_known,
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

-- A hold that was opened, and what could be spent then.
CREATE TYPE opened_hold AS (
  n bigint, hold_id uuid, payer_id text, cost bigint, lot_id bigint, actor text, request_id text, available bigint, hold jsonb
);

-- Inserts the holds; who lost a race for an id or a key is not among those returned.
CREATE FUNCTION insert_holds(p_items hold_request[], p_common common_hold[], p_now timestamptz) RETURNS opened_hold[] LANGUAGE plpgsql AS $$
DECLARE
  v opened_hold[];
BEGIN
  WITH inserted AS (
    INSERT INTO streaming_sessions AS s (
      id, tenant_id, user_id, payer_id, opened_by, session_id, open_key, open_hash, upstream, model, chatflow_id, workspace_id,
      api_key_id, price_rule_id, units, clamped, metadata, held_credits, lease_expires_at, created_at
    ) SELECT
      i.hold_id, c.tenant_id, (i.claims).id, i.payer_id, i.opened_by, i.session_id, i.open_key, i.open_hash, i.upstream, i.model,
      i.chatflow_id, i.workspace_id, i.api_key_id, i.price_rule_id, i.units, false, coalesce(i.metadata, '{}'), c.cost,
      p_now + make_interval(secs => i.lease_seconds), p_now
      FROM unnest(p_common) c JOIN unnest(p_items) WITH ORDINALITY i ON i.ordinality = c.n ORDER BY c.n
    ON CONFLICT DO NOTHING RETURNING s.*
  )
  SELECT array_agg(o.opened ORDER BY o.n) INTO v FROM (
    SELECT c.n, ROW(
        c.n, c.hold_id, c.payer_id, c.cost, c.lot_id, i.actor, i.request_id,
        c.spendable - sum(c.cost) OVER (PARTITION BY c.payer_id ORDER BY c.n), to_jsonb(s))::opened_hold AS opened
    FROM inserted s JOIN unnest(p_common) c ON c.hold_id = s.id JOIN unnest(p_items) WITH ORDINALITY i ON i.ordinality = c.n) o;
  RETURN coalesce(v, '{}');
END $$;

-- The answers to those that were opened together, each in the place of its item; null for the others. The accounts are locked.
CREATE FUNCTION open_together(p_items hold_request[], p_locked text[]) RETURNS hold_answer[] LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := ledger_now();
  v_opened opened_hold[];
  v_lines ledger_line[];
BEGIN
  PERFORM renew_profiles(p_items, p_locked);
  v_opened := insert_holds(p_items, common_holds(p_items, p_locked, v_now), v_now);
  v_lines := ARRAY(
    SELECT ROW(o.payer_id, ROW('hold', o.hold_id, NULL, NULL, o.actor, NULL, o.request_id)::ledger_note, -o.cost, o.cost, '{}', '{}')::ledger_line
    FROM unnest(v_opened) o WHERE o.cost > 0 ORDER BY o.n);
  IF v_lines <> '{}' THEN
    UPDATE credit_allocations l SET remaining_credits = l.remaining_credits - t.amount, held_credits = l.held_credits + t.amount
      FROM (SELECT o.lot_id, sum(o.cost)::bigint AS amount FROM unnest(v_opened) o WHERE o.cost > 0 GROUP BY o.lot_id) t WHERE l.id = t.lot_id;
    INSERT INTO hold_lots (hold_id, allocation_id, held_credits)
      SELECT o.hold_id, o.lot_id, o.cost FROM unnest(v_opened) o WHERE o.cost > 0;
    PERFORM ledger_post_together(v_lines, v_now);
  END IF;
  RETURN ARRAY(
    SELECT CASE WHEN o.n IS NOT NULL THEN ROW('opened', o.available, o.hold)::hold_answer END
    FROM generate_subscripts(p_items, 1) AS i (place) LEFT JOIN unnest(v_opened) o ON o.n = i.place ORDER BY i.place);
END $$;
