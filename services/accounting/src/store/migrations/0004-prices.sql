-- Price rules: immutable versions. A hold names the version it was priced with, for ever.
-- unit_prices: micro-credits (1/1,000,000 credit) per unit of each class; classes as in @tollgate/contracts credits.ts.

CREATE FUNCTION plausible_unit_prices(p jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_typeof(p) = 'object' AND NOT EXISTS (
    SELECT FROM jsonb_each(p) AS u (unit, price)
    WHERE u.unit NOT IN ('request', 'input', 'cache_read', 'cache_write_5m', 'cache_write_1h', 'output', 'reasoning',
                         'audio_in', 'audio_out', 'image_in', 'image_out', 'tool_call')
       OR u.price::text !~ '^[0-9]{1,10}$' OR u.price::text::numeric > 1000000000
  )
$$;

CREATE TABLE price_rules (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL DEFAULT 'default',
  -- Patterns: * stands for any characters. The most specific rule that matches wins.
  upstream text NOT NULL,
  model text NOT NULL DEFAULT '*',
  chatflow text NOT NULL DEFAULT '*',
  user_group text NOT NULL DEFAULT '*',
  version integer NOT NULL CHECK (version > 0),
  valid_from timestamptz NOT NULL,
  mode text NOT NULL CHECK (mode IN ('flat', 'metered', 'flat_plus_metered', 'max')),
  unit_prices jsonb NOT NULL CHECK (plausible_unit_prices(unit_prices)),
  markup_numerator integer NOT NULL DEFAULT 1 CHECK (markup_numerator BETWEEN 1 AND 1000000),
  markup_denominator integer NOT NULL DEFAULT 1 CHECK (markup_denominator BETWEEN 1 AND 1000000),
  free boolean NOT NULL DEFAULT false,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT ledger_now(),
  UNIQUE (tenant_id, upstream, model, chatflow, user_group, version)
);

CREATE TRIGGER prices_stay BEFORE UPDATE OR DELETE ON price_rules FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER prices_stay_all BEFORE TRUNCATE ON price_rules EXECUTE FUNCTION refuse_change();

-- The defaults of contract.md, credits per 1,000 tokens in and out. Cached input costs what input costs until an operator says otherwise.
INSERT INTO price_rules (upstream, model, version, valid_from, mode, unit_prices, created_by)
SELECT d.upstream, d.model, 1, '2020-01-01Z', d.mode, jsonb_strip_nulls(jsonb_build_object(
    'request', d.request, 'input', d.input, 'cache_read', d.input, 'cache_write_5m', d.input, 'cache_write_1h', d.input,
    'output', d.output, 'reasoning', d.output)), 'seed'
FROM (VALUES
  ('openai', '*nova-micro*', 'metered', NULL::bigint, 60, 60),
  ('openai', '*nova-lite*', 'metered', NULL, 250, 800),
  ('openai', '*titan*express*', 'metered', NULL, 200, 600),
  ('openai', '*llama3-70b*', 'metered', NULL, 265, 350),
  ('openai', '*', 'metered', NULL, 200, 500),
  -- A flow that reports no usage costs one credit a message; one that does is metered when that is dearer.
  ('flowise', '*', 'max', 1000000, 200, 500)
) AS d (upstream, model, mode, request, input, output);
