-- Closing many holds with a few statements: what close_hold() does for each of them, for all whose case is common. The others keep their
-- place: behind the first that is not common, every hold of that account is closed by close_hold().

-- An item and its place in the batch, and what it gives back to which lot; lot_id null: nothing was held.
CREATE TYPE common_ending AS (
  n bigint, item close_request, lot_id bigint, held bigint, charge bigint, available bigint, limit_counts jsonb
);

-- The items that can be closed together: settled or voided by who opened the hold, which is open, covers the charge, and has taken from
-- one lot that nothing happened to meanwhile. Accounts, holds and counters are locked.
CREATE FUNCTION common_endings(p_items close_request[], p_locked text[], p_now timestamptz) RETURNS common_ending[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(
    SELECT ROW(j.n, p_items[j.n], j.lot_id, j.held, j.charge,
               j.spendable + sum(j.held - j.charge) OVER (PARTITION BY j.payer_id ORDER BY j.n), j.limit_counts)::common_ending
    FROM (
      SELECT k.*, bool_and(k.is_first AND k.is_open AND k.is_covered) OVER (PARTITION BY k.payer_id ORDER BY k.n) AS is_common
      FROM (
        SELECT i.ordinality AS n, i.payer_id, i.charge, h.held_credits::bigint AS held, h.limit_counts, t.allocation_id AS lot_id,
               row_number() OVER (PARTITION BY i.hold_id ORDER BY i.ordinality) = 1 AS is_first,
               coalesce(
                 is_close_request(p_items[i.ordinality]) AND i.cause IN ('settle', 'void')
                 AND h.user_id = i.user_id AND h.opened_by = i.opened_by
                 AND h.status = 'active' AND (i.price_rule_id <> h.price_rule_id) IS NOT TRUE AND i.charge <= h.held_credits, false) AS is_open,
               CASE t.lots WHEN 0 THEN h.held_credits = 0 WHEN 1 THEN t.held = h.held_credits AND NOT t.is_special
               ELSE false END AS is_covered,
               (SELECT coalesce(sum(s.remaining_credits), 0)::bigint FROM credit_allocations s
                WHERE s.user_id = i.payer_id AND s.remaining_credits > 0 AND s.effective_at <= p_now
                  AND (s.expires_at IS NULL OR s.expires_at > p_now)) AS spendable
        FROM unnest(p_items) WITH ORDINALITY i
        LEFT JOIN streaming_sessions h ON h.id = i.hold_id AND h.payer_id = i.payer_id
        CROSS JOIN LATERAL (
          SELECT count(*) AS lots, min(x.allocation_id) AS allocation_id, sum(x.held_credits) AS held,
                 bool_or((l.recall_credits > 0 OR l.voided_at IS NOT NULL OR l.effective_at > p_now
                          OR l.expires_at <= p_now) IS TRUE) AS is_special
          FROM hold_lots x JOIN credit_allocations l ON l.id = x.allocation_id WHERE x.hold_id = i.hold_id) t
        WHERE i.payer_id = ANY (p_locked)
      ) k
    ) j WHERE j.is_common ORDER BY j.n);
END $$;

-- What the limits of these holds counted for them is used now, or free again.
CREATE FUNCTION count_endings(p_common common_ending[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE limit_counters c SET reserved = c.reserved - t.reserved, used = c.used + t.used
    FROM (
      SELECT k.limit_id, k.subject, k.window_start, sum(CASE k.measure WHEN 'requests' THEN 0 ELSE k.amount END)::bigint AS reserved,
             sum(CASE k.measure WHEN 'credits' THEN e.charge WHEN 'tokens' THEN tokens_of((e.item).units)
                 WHEN 'requests' THEN CASE WHEN (e.item).refused AND e.charge = 0 THEN -1 ELSE 0 END ELSE 0 END)::bigint AS used
      FROM unnest(p_common) e CROSS JOIN LATERAL jsonb_populate_recordset(NULL::ledger.limit_count, e.limit_counts) k
      GROUP BY 1, 2, 3) t
    WHERE (c.limit_id, c.subject, c.window_start) = (t.limit_id, t.subject, t.window_start);
END $$;

-- The rows of usage, as log_hold_usage() writes them.
CREATE FUNCTION log_endings(p_common common_ending[], p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_logs (
    tenant_id, user_id, payer_id, service, operation, credits, hold_id, upstream, model, chatflow_id, workspace_id, api_key_id,
    input_tokens, output_tokens, units, usage_source, raw_usage, outcome, reason, price_rule_id, metadata, "timestamp", rounding_micro
  ) SELECT
    h.tenant_id, h.user_id, h.payer_id, CASE WHEN h.opened_by = 'user' THEN 'accounting' ELSE h.opened_by END,
    CASE WHEN h.opened_by <> 'user' THEN 'chat' WHEN h.price_rule_id IS NULL THEN 'deduct' ELSE 'streaming-session' END,
    e.charge, h.id, h.upstream, h.model, h.chatflow_id, h.workspace_id, h.api_key_id,
    ((e.item).units ->> 'input')::bigint + coalesce(((e.item).units ->> 'cache_read')::bigint, 0)
      + coalesce(((e.item).units ->> 'cache_write_5m')::bigint, 0) + coalesce(((e.item).units ->> 'cache_write_1h')::bigint, 0),
    ((e.item).units ->> 'output')::bigint, (e.item).units, (e.item).usage_source, (e.item).raw_usage, (e.item).outcome,
    (e.item).reason, h.price_rule_id, h.metadata || coalesce((e.item).metadata, '{}'), p_now, coalesce((e.item).rounding_micro, 0)
    FROM unnest(p_common) e JOIN streaming_sessions h ON h.id = (e.item).hold_id ORDER BY e.n;
END $$;

-- What was charged leaves the lots, the rest is free again; the ledger says both.
CREATE FUNCTION release_together(p_common common_ending[], p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE credit_allocations l SET
    held_credits = l.held_credits - t.held, consumed_credits = l.consumed_credits + t.charge,
    remaining_credits = l.remaining_credits + t.held - t.charge
    FROM (
      SELECT e.lot_id, sum(e.held)::bigint AS held, sum(e.charge)::bigint AS charge FROM unnest(p_common) e
      WHERE e.lot_id IS NOT NULL GROUP BY e.lot_id) t
    WHERE l.id = t.lot_id;
  UPDATE hold_lots t SET consumed_credits = t.consumed_credits + e.charge
    FROM unnest(p_common) e WHERE t.hold_id = (e.item).hold_id AND t.allocation_id = e.lot_id AND e.charge > 0;
  PERFORM ledger_post_together(ARRAY(
    SELECT ROW(
      (e.item).payer_id,
      ROW(CASE e.charge WHEN 0 THEN 'void' ELSE 'settle' END, (e.item).hold_id, NULL, NULL, (e.item).actor, (e.item).reason,
          (e.item).request_id)::ledger_note,
      e.held - e.charge, -e.held, CASE e.charge WHEN 0 THEN '{}' ELSE ARRAY['revenue'] END,
      CASE e.charge WHEN 0 THEN '{}' ELSE ARRAY[e.charge] END)::ledger_line
    FROM unnest(p_common) e WHERE e.held > 0 ORDER BY e.n), p_now);
END $$;

-- The answers to those that were closed together, each in the place of its item; null for the others.
CREATE FUNCTION close_together(p_items close_request[], p_locked text[]) RETURNS hold_answer[] LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := ledger_now();
  v_common common_ending[] := common_endings(p_items, p_locked, v_now);
  r record;
  v_answers hold_answer[];
BEGIN
  IF v_common = '{}' THEN
    RETURN v_answers;
  END IF;
  PERFORM release_together(v_common, v_now);
  FOR r IN
    UPDATE streaming_sessions s SET
      status = CASE WHEN (e.item).cause = 'void' OR (e.charge = 0 AND e.held > 0) THEN 'voided' ELSE 'settled' END,
      closed_at = v_now, close_key = (e.item).close_key, close_hash = (e.item).close_hash, outcome = (e.item).outcome,
      charged_credits = e.charge, released_credits = e.held - e.charge, available_after = e.available
      FROM unnest(v_common) e WHERE s.id = (e.item).hold_id RETURNING e.n, tell_hold(s) AS hold
  LOOP
    v_answers[r.n] := ROW('done', NULL, r.hold)::hold_answer;
  END LOOP;
  IF EXISTS (SELECT FROM unnest(v_common) e WHERE e.limit_counts IS NOT NULL) THEN
    PERFORM count_endings(v_common);
  END IF;
  PERFORM log_endings(v_common, v_now);
  RETURN v_answers;
END $$;
