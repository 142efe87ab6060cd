-- Usage summed by UTC day, so that reports over weeks do not read every request. Only days that are over are summed, once, and their
-- sums never change: a late correction is a row of its own in usage_logs, with the time of the correction.
--
-- '' stands for "none" in workspace_id, chatflow_id and model: a name that nothing has, and one that keys can be compared by.

CREATE TABLE usage_daily (
  tenant_id text NOT NULL,
  day date NOT NULL,
  user_id text NOT NULL,
  workspace_id text NOT NULL,
  chatflow_id text NOT NULL,
  model text NOT NULL,
  service text NOT NULL,
  records bigint NOT NULL CHECK (records > 0),
  credits bigint NOT NULL,
  written_off_credits bigint NOT NULL CHECK (written_off_credits >= 0),
  input_units bigint NOT NULL,
  output_units bigint NOT NULL,
  PRIMARY KEY (user_id, day, tenant_id, workspace_id, chatflow_id, model, service)
);
CREATE INDEX usage_daily_day ON usage_daily (day, user_id) INCLUDE (credits);

-- The same without the user: what a whole installation used is a few rows a day, however many users there are.
CREATE TABLE usage_daily_totals (
  tenant_id text NOT NULL,
  day date NOT NULL,
  workspace_id text NOT NULL,
  chatflow_id text NOT NULL,
  model text NOT NULL,
  service text NOT NULL,
  records bigint NOT NULL CHECK (records > 0),
  credits bigint NOT NULL,
  written_off_credits bigint NOT NULL CHECK (written_off_credits >= 0),
  input_units bigint NOT NULL,
  output_units bigint NOT NULL,
  PRIMARY KEY (day, tenant_id, workspace_id, chatflow_id, model, service)
);

-- How far the days are summed. One row; whoever sums has locked it.
CREATE TABLE usage_rollup (
  id boolean PRIMARY KEY DEFAULT true CHECK (id),
  -- The first day that is not summed; null before the first.
  next_day date,
  -- Days before it may be summed once every transaction that ran when it was set (ids below the fence) has ended: until then
  -- one of them might still commit a row of such a day.
  fence_day date,
  fence xid8
);
INSERT INTO usage_rollup DEFAULT VALUES;

CREATE TRIGGER daily_usage_stays BEFORE UPDATE OR DELETE ON usage_daily FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER daily_usage_stays_all BEFORE TRUNCATE ON usage_daily EXECUTE FUNCTION refuse_change();
CREATE TRIGGER daily_totals_stay BEFORE UPDATE OR DELETE ON usage_daily_totals FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER daily_totals_stay_all BEFORE TRUNCATE ON usage_daily_totals EXECUTE FUNCTION refuse_change();

-- For pages over everybody's usage and for what is not summed yet. New rows always go to its last page.
CREATE INDEX usage_logs_in_time ON usage_logs ("timestamp", id);
DROP INDEX usage_logs_time;
