-- Summing usage by day (usage_daily, usage_daily_totals).

-- The sum of whole numbers as a whole number, or an error when it has more than 64 bits. Faster than sum(bigint), which keeps
-- 128 bits and ends in a numeric for each group.
CREATE AGGREGATE total(bigint) (SFUNC = int8pl, STYPE = bigint, COMBINEFUNC = int8pl, PARALLEL = SAFE);

-- One row of usage as reports count it. Names that are absent are ''.
CREATE VIEW counted_usage AS
  SELECT tenant_id, user_id, coalesce(workspace_id, '') AS workspace_id, coalesce(chatflow_id, '') AS chatflow_id,
         coalesce(model, '') AS model, service, credits, written_off_credits, coalesce(input_tokens, 0) AS input_units,
         coalesce(output_tokens, 0) AS output_units, "timestamp"
  FROM usage_logs;

-- Days end at midnight UTC, and may be summed so much later: longer than any transaction of the service takes.
CREATE FUNCTION last_complete_day() RETURNS date LANGUAGE sql VOLATILE AS $$
  SELECT ((ledger_now() - interval '10 minutes') AT TIME ZONE 'UTC')::date - 1
$$;

-- Sums the next complete day. outcome: summed (there may be more) | waiting (for transactions that may still write to it)
--                                      | busy (another instance is summing) | done
CREATE FUNCTION roll_up_usage() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  r usage_rollup;
  v_open_day date := last_complete_day() + 1;
BEGIN
  SELECT * INTO r FROM usage_rollup FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN 'busy';
  END IF;
  IF coalesce(r.next_day >= v_open_day, false) THEN
    RETURN 'done';
  END IF;
  IF coalesce(r.next_day >= r.fence_day, r.fence_day IS DISTINCT FROM v_open_day) THEN
    r.fence_day := v_open_day;
    r.fence := pg_current_xact_id();
    UPDATE usage_rollup SET fence_day = r.fence_day, fence = r.fence;
  END IF;
  IF pg_snapshot_xmin(pg_current_snapshot()) < r.fence THEN
    RETURN 'waiting';
  END IF;
  r.next_day := coalesce(r.next_day, (SELECT (min("timestamp") AT TIME ZONE 'UTC')::date FROM usage_logs));
  IF coalesce(r.next_day >= r.fence_day, true) THEN
    RETURN 'done';
  END IF;
  PERFORM sum_usage_of_day(r.next_day);
  UPDATE usage_rollup SET next_day = r.next_day + 1;
  RETURN 'summed';
END $$;

CREATE FUNCTION sum_usage_of_day(p_day date) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_daily
    SELECT tenant_id, p_day, user_id, workspace_id, chatflow_id, model, service,
           count(*), total(credits), total(written_off_credits), total(input_units), total(output_units)
    FROM counted_usage
    WHERE "timestamp" >= p_day::timestamp AT TIME ZONE 'UTC' AND "timestamp" < (p_day + 1)::timestamp AT TIME ZONE 'UTC'
    GROUP BY tenant_id, user_id, workspace_id, chatflow_id, model, service ORDER BY user_id;
  INSERT INTO usage_daily_totals
    SELECT tenant_id, day, workspace_id, chatflow_id, model, service,
           total(records), total(credits), total(written_off_credits), total(input_units), total(output_units)
    FROM usage_daily WHERE day = p_day GROUP BY tenant_id, day, workspace_id, chatflow_id, model, service;
END $$;

-- Days whose sums are not those of their rows.
CREATE VIEW verify_daily AS
  WITH summed AS (SELECT next_day FROM usage_rollup),
  raw AS (
    SELECT ("timestamp" AT TIME ZONE 'UTC')::date AS day, count(*) AS records, sum(credits) AS credits,
           sum(written_off_credits) AS written_off, sum(input_units) AS input, sum(output_units) AS output
    FROM counted_usage WHERE "timestamp" < (SELECT next_day::timestamp AT TIME ZONE 'UTC' FROM summed) GROUP BY 1
  ),
  daily AS (
    SELECT day, sum(records) AS records, sum(credits) AS credits, sum(written_off_credits) AS written_off,
           sum(input_units) AS input, sum(output_units) AS output
    FROM usage_daily GROUP BY day
  ),
  totals AS (
    SELECT day, sum(records) AS records, sum(credits) AS credits, sum(written_off_credits) AS written_off,
           sum(input_units) AS input, sum(output_units) AS output
    FROM usage_daily_totals GROUP BY day
  )
  SELECT day, raw.records, daily.records AS daily_records, totals.records AS total_records, raw.credits,
         daily.credits AS daily_credits, totals.credits AS total_credits
  FROM raw FULL JOIN daily USING (day) FULL JOIN totals USING (day)
  WHERE (raw.records, raw.credits, raw.written_off, raw.input, raw.output)
          IS DISTINCT FROM (daily.records, daily.credits, daily.written_off, daily.input, daily.output)
     OR (raw.records, raw.credits, raw.written_off, raw.input, raw.output)
          IS DISTINCT FROM (totals.records, totals.credits, totals.written_off, totals.input, totals.output);
