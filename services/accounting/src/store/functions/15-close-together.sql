-- Closing many holds with a few statements: what close_hold() does for each of them, for all whose case is common. The others keep their
-- place: behind the first that is not common, every hold of that account is closed by close_hold().

-- Which item of the batch, and what it gives back to which lot; lot_id null: nothing was held.
CREATE TYPE common_ending AS (
  n bigint, hold_id uuid, payer_id text, lot_id bigint, held bigint, charge bigint, available bigint, limit_counts jsonb
);

-- The items that can be closed together: settled or voided by who opened the hold, which is open, covers the charge, and has taken from
-- one lot that nothing happened to meanwhile. Accounts, holds and counters are locked.
CREATE FUNCTION common_endings(p_items close_request[], p_locked text[], p_now timestamptz) RETURNS common_ending[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(
    SELECT ROW(j.n, j.hold_id, j.payer_id, j.lot_id, j.held, j.charge, j.spendable + sum(j.released) OVER (PARTITION BY j.payer_id ORDER BY j.n),
               j.limit_counts)::common_ending
    FROM (
      SELECT k.*, k.held - k.charge AS released, bool_and(k.is_first AND k.is_open AND k.is_covered) OVER (PARTITION BY k.payer_id ORDER BY k.n) AS is_common
      FROM (
        SELECT i.ordinality AS n, i.hold_id, i.payer_id, i.charge, h.held_credits::bigint AS held, h.limit_counts, t.allocation_id AS lot_id,
               row_number() OVER (PARTITION BY i.hold_id ORDER BY i.ordinality) = 1 AS is_first,
               coalesce(
                 is_close_request(p_items[i.ordinality]) AND i.cause IN ('settle', 'void') AND h.user_id = i.user_id AND h.opened_by = i.opened_by
                 AND h.status = 'active' AND (i.price_rule_id <> h.price_rule_id) IS NOT TRUE AND i.charge <= h.held_credits, false) AS is_open,
               CASE t.lots WHEN 0 THEN h.held_credits = 0 WHEN 1 THEN t.held = h.held_credits AND NOT t.is_special ELSE false END AS is_covered,
               (SELECT coalesce(sum(s.remaining_credits), 0)::bigint FROM credit_allocations s
                WHERE s.user_id = i.payer_id AND s.remaining_credits > 0 AND s.effective_at <= p_now
                  AND (s.expires_at IS NULL OR s.expires_at > p_now)) AS spendable
        FROM unnest(p_items) WITH ORDINALITY i
        LEFT JOIN streaming_sessions h ON h.id = i.hold_id AND h.payer_id = i.payer_id
        CROSS JOIN LATERAL (
          SELECT count(*) AS lots, min(x.allocation_id) AS allocation_id, sum(x.held_credits) AS held,
                 bool_or((l.recall_credits > 0 OR l.voided_at IS NOT NULL OR l.effective_at > p_now OR l.expires_at <= p_now) IS TRUE) AS is_special
          FROM hold_lots x JOIN credit_allocations l ON l.id = x.allocation_id WHERE x.hold_id = i.hold_id) t
        WHERE i.payer_id = ANY (p_locked)
      ) k
    ) j WHERE j.is_common ORDER BY j.n);
END $$;

-- What the limits of these holds counted for them is used now, or free again.
CREATE FUNCTION count_endings(p_items close_request[], p_common common_ending[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE limit_counters c SET reserved = c.reserved - t.reserved, used = c.used + t.used
    FROM (
      SELECT k.limit_id, k.subject, k.window_start, sum(CASE k.measure WHEN 'requests' THEN 0 ELSE k.amount END)::bigint AS reserved,
             sum(CASE k.measure WHEN 'credits' THEN e.charge WHEN 'tokens' THEN tokens_of(i.units)
                 WHEN 'requests' THEN CASE WHEN i.refused AND e.charge = 0 THEN -1 ELSE 0 END ELSE 0 END)::bigint AS used
      FROM unnest(p_common) e JOIN unnest(p_items) WITH ORDINALITY i ON i.ordinality = e.n
      CROSS JOIN LATERAL jsonb_populate_recordset(NULL::ledger.limit_count, e.limit_counts) k
      GROUP BY 1, 2, 3) t
    WHERE (c.limit_id, c.subject, c.window_start) = (t.limit_id, t.subject, t.window_start);
END $$;

-- The rows of usage, as log_hold_usage() writes them.
CREATE FUNCTION log_endings(p_items close_request[], p_common common_ending[], p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_logs (
    tenant_id, user_id, payer_id, service, operation, credits, hold_id, upstream, model, chatflow_id, workspace_id, api_key_id,
    input_tokens, output_tokens, units, usage_source, raw_usage, outcome, reason, price_rule_id, metadata, "timestamp", rounding_micro
  ) SELECT
    h.tenant_id, h.user_id, h.payer_id, CASE WHEN h.opened_by = 'user' THEN 'accounting' ELSE h.opened_by END,
    CASE WHEN h.opened_by <> 'user' THEN 'chat' WHEN h.price_rule_id IS NULL THEN 'deduct' ELSE 'streaming-session' END,
    e.charge, h.id, h.upstream, h.model, h.chatflow_id, h.workspace_id, h.api_key_id,
    (i.units ->> 'input')::bigint + coalesce((i.units ->> 'cache_read')::bigint, 0)
      + coalesce((i.units ->> 'cache_write_5m')::bigint, 0) + coalesce((i.units ->> 'cache_write_1h')::bigint, 0),
    (i.units ->> 'output')::bigint, i.units, i.usage_source, i.raw_usage, i.outcome, i.reason, h.price_rule_id,
    h.metadata || coalesce(i.metadata, '{}'), p_now, coalesce(i.rounding_micro, 0)
    FROM unnest(p_common) e JOIN unnest(p_items) WITH ORDINALITY i ON i.ordinality = e.n JOIN streaming_sessions h ON h.id = e.hold_id
    ORDER BY e.n;
END $$;

-- What was charged leaves the lots, the rest is free again; the ledger says both.
CREATE FUNCTION release_together(p_items close_request[], p_common common_ending[], p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE credit_allocations l SET
    held_credits = l.held_credits - t.held, consumed_credits = l.consumed_credits + t.charge,
    remaining_credits = l.remaining_credits + t.held - t.charge
    FROM (
      SELECT e.lot_id, sum(e.held)::bigint AS held, sum(e.charge)::bigint AS charge FROM unnest(p_common) e
      WHERE e.lot_id IS NOT NULL GROUP BY e.lot_id) t
    WHERE l.id = t.lot_id;
  UPDATE hold_lots t SET consumed_credits = t.consumed_credits + e.charge
    FROM unnest(p_common) e WHERE (t.hold_id, t.allocation_id) = (e.hold_id, e.lot_id) AND e.charge > 0;
  PERFORM ledger_post_together(ARRAY(
    SELECT ROW(
      e.payer_id,
      ROW(CASE e.charge WHEN 0 THEN 'void' ELSE 'settle' END, e.hold_id, NULL, NULL, i.actor, i.reason, i.request_id)::ledger_note,
      e.held - e.charge, -e.held, CASE e.charge WHEN 0 THEN '{}' ELSE ARRAY['revenue'] END,
      CASE e.charge WHEN 0 THEN '{}' ELSE ARRAY[e.charge] END)::ledger_line
    FROM unnest(p_common) e JOIN unnest(p_items) WITH ORDINALITY i ON i.ordinality = e.n WHERE e.held > 0 ORDER BY e.n), p_now);
END $$;

-- The answers to those that were closed together, each in the place of its item; null for the others.
CREATE FUNCTION close_together(p_items close_request[], p_locked text[]) RETURNS hold_answer[] LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := ledger_now();
  v_common common_ending[] := common_endings(p_items, p_locked, v_now);
  v_answers hold_answer[];
BEGIN
  IF v_common = '{}' THEN
    RETURN v_answers;
  END IF;
  PERFORM release_together(p_items, v_common, v_now);
  WITH closed AS (
    UPDATE streaming_sessions s SET
      status = CASE WHEN i.cause = 'void' OR (e.charge = 0 AND e.held > 0) THEN 'voided' ELSE 'settled' END,
      closed_at = v_now, close_key = i.close_key, close_hash = i.close_hash, outcome = i.outcome,
      charged_credits = e.charge, released_credits = e.held - e.charge, available_after = e.available
      FROM unnest(v_common) e JOIN unnest(p_items) WITH ORDINALITY i ON i.ordinality = e.n
      WHERE s.id = e.hold_id RETURNING e.n, to_jsonb(s) AS hold
  )
  SELECT array_agg(CASE WHEN c.n IS NOT NULL THEN ROW('done', NULL, c.hold)::hold_answer END ORDER BY i.place) INTO v_answers
    FROM generate_subscripts(p_items, 1) AS i (place) LEFT JOIN closed c ON c.n = i.place;
  IF EXISTS (SELECT FROM unnest(v_common) e WHERE e.limit_counts IS NOT NULL) THEN
    PERFORM count_endings(p_items, v_common);
  END IF;
  PERFORM log_endings(p_items, v_common, v_now);
  RETURN v_answers;
END $$;
