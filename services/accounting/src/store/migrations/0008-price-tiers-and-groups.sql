-- Prices by context size and by group of accounts, and what the rounding of each charge was.

-- Tiers by rising input; each names the prices of a whole request above its bound, and is in no class cheaper than the one below:
-- a hold is taken for an upper bound of the input, and less input must never cost more.
CREATE FUNCTION plausible_tiers(p_prices jsonb, p_tiers jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  WITH tiers AS (
    SELECT n, tier -> 'unitPrices' AS prices, tier -> 'aboveInputUnits' AS above,
           lag(tier -> 'unitPrices', 1, p_prices) OVER (ORDER BY n) AS prices_below,
           lag(tier -> 'aboveInputUnits', 1, '0'::jsonb) OVER (ORDER BY n) AS above_below
    FROM jsonb_array_elements(p_tiers) WITH ORDINALITY AS t (tier, n)
  )
  SELECT jsonb_array_length(p_tiers) <= 8 AND NOT EXISTS (
    SELECT FROM tiers
    WHERE plausible_unit_prices(prices) IS NOT TRUE
       OR above::text !~ '^[0-9]{1,10}$' IS NOT FALSE OR above::text::numeric <= above_below::text::numeric
       OR EXISTS (
         SELECT FROM jsonb_each(prices_below) AS b (unit, price)
         WHERE b.price::text::numeric > coalesce((prices ->> b.unit)::numeric, 0))
  )
$$;

ALTER TABLE price_rules ADD COLUMN tiers jsonb NOT NULL DEFAULT '[]';
-- Rules from before this step are never edited, so that these hold for new ones.
ALTER TABLE price_rules ADD CONSTRAINT tiers_rise CHECK (plausible_tiers(unit_prices, tiers)) NOT VALID;
ALTER TABLE price_rules ADD CONSTRAINT free_is_said CHECK (
  CASE WHEN free THEN NOT jsonb_path_exists(unit_prices, '$.* ? (@ > 0)') AND tiers = '[]'
       ELSE jsonb_path_exists(unit_prices, '$.* ? (@ > 0)') OR jsonb_path_exists(tiers, '$[*].unitPrices.* ? (@ > 0)') END
) NOT VALID;
CREATE INDEX price_rules_newest ON price_rules (created_at DESC, id DESC);

-- What a price rule may name beside upstream, model and chatflow. null: none.
ALTER TABLE user_accounts ADD COLUMN price_group text CHECK (price_group ~ '^[0-9A-Za-z][0-9A-Za-z._:-]{0,63}$');

-- Micro-credits that the one rounding up added to what a request cost exactly, less than a credit; of a correction the difference.
-- null: not known, because the row is older, or because it is of no hold. The type has no room for a whole credit.
ALTER TABLE usage_logs ADD COLUMN rounding_micro numeric(12, 6) CHECK (rounding_micro >= 0 OR is_correction);
-- A hold has at most one; its explanation asks for it.
CREATE INDEX usage_logs_correction ON usage_logs (hold_id) WHERE is_correction;
