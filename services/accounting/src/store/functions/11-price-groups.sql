-- Which prices an account has.

CREATE TYPE price_group_answer AS (previous_group text, new_group text);

-- No row: unknown account. Open holds keep the price they were taken with.
CREATE FUNCTION set_price_group(p_user_id text, p_group text) RETURNS SETOF price_group_answer LANGUAGE plpgsql AS $$
DECLARE
  v_previous text;
BEGIN
  SELECT price_group INTO v_previous FROM user_accounts WHERE id = p_user_id FOR UPDATE;
  IF FOUND THEN
    UPDATE user_accounts SET price_group = p_group, updated_at = ledger_now() WHERE id = p_user_id;
    RETURN NEXT ROW(v_previous, p_group)::price_group_answer;
  END IF;
END $$;
