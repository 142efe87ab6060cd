-- Accounts: opening, locking, and what they can spend.

CREATE TYPE account_claims AS (id text, username text, email text, role text, issued_at timestamptz);

-- Opens an account and, in the same transaction, gives it the welcome of the installation (WELCOME_CREDITS, which every connection of
-- the service carries as a setting). False when the account is there already.
CREATE FUNCTION insert_account(p account_claims) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_welcome bigint := coalesce(nullif(current_setting('tollgate.welcome_credits', true), ''), '0')::bigint;
  v_days integer := nullif(current_setting('tollgate.welcome_days', true), '')::integer;
BEGIN
  INSERT INTO user_accounts (id, username, email, role, profile_issued_at)
    VALUES (p.id, p.username, p.email, coalesce(p.role, 'enduser'), coalesce(p.issued_at, '-infinity'))
    ON CONFLICT (id) DO NOTHING;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  -- A pool is no newcomer.
  IF v_welcome > 0 AND p.id NOT LIKE 'ws\_%' THEN
    PERFORM add_lot(
      ROW(p.id, 'promo', v_welcome, NULL, NULL, NULL, v_days, NULL, NULL, NULL, 'welcome', 'system', 'Welcome', NULL)::lot_request,
      'grant', ledger_now());
  END IF;
  RETURN true;
END $$;

-- Locks an account, opens it when it is new, and takes over a profile that is newer than the stored one.
CREATE FUNCTION lock_account(p account_claims) RETURNS user_accounts LANGUAGE plpgsql AS $$
DECLARE
  a user_accounts;
BEGIN
  SELECT * INTO a FROM user_accounts WHERE id = p.id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM insert_account(p);
    SELECT * INTO STRICT a FROM user_accounts WHERE id = p.id FOR NO KEY UPDATE;
  END IF;
  IF p.issued_at > a.profile_issued_at THEN
    UPDATE user_accounts SET
      username = coalesce(p.username, username), email = coalesce(p.email, email), role = coalesce(p.role, role),
      profile_issued_at = p.issued_at
      WHERE id = p.id RETURNING * INTO a;
  END IF;
  RETURN a;
END $$;

-- Opens the account of somebody who has not called yet. outcome: opened | id (is taken) | email (belongs to another account)
CREATE FUNCTION open_account(p account_claims) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  -- Two at once with one address wait for each other; the index on addresses is not unique.
  PERFORM pg_advisory_xact_lock(hashtextextended(lower(p.email), 2));
  IF EXISTS (SELECT FROM user_accounts WHERE lower(email) = lower(p.email) AND id <> p.id) THEN
    RETURN 'email';
  END IF;
  RETURN CASE WHEN insert_account(p) THEN 'opened' ELSE 'id' END;
END $$;

-- Takes the lock of an account only when there is something to write: it is new, or the profile is newer than the stored one.
CREATE FUNCTION touch_account(p account_claims) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM user_accounts WHERE id = p.id AND (p.issued_at > profile_issued_at) IS NOT TRUE;
  IF NOT FOUND THEN
    PERFORM lock_account(p);
  END IF;
END $$;

-- Locks accounts in the order of their ids and returns the ids it has locked.
CREATE FUNCTION lock_accounts(p_ids text[], p_wait boolean) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
  IF p_wait THEN
    PERFORM FROM user_accounts WHERE id = ANY (p_ids) ORDER BY id FOR NO KEY UPDATE;
    RETURN p_ids;
  END IF;
  RETURN ARRAY(SELECT id FROM user_accounts WHERE id = ANY (p_ids) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED);
END $$;

-- What an account can spend at an instant. A lot is not spendable any more at the instant of its expiry.
CREATE FUNCTION spendable_credits(p_user_id text, p_now timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (
    SELECT coalesce(sum(remaining_credits), 0) FROM credit_allocations
    WHERE user_id = p_user_id AND remaining_credits > 0 AND effective_at <= p_now AND (expires_at IS NULL OR expires_at > p_now));
END $$;

-- Who pays for a workspace. The pool is an account like others; holds that are open keep their payer.
CREATE FUNCTION set_billing(p_workspace_id text, p_billing text, p_actor text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO user_accounts (id) VALUES ('ws_' || p_workspace_id) ON CONFLICT (id) DO NOTHING;
  INSERT INTO workspaces (id, billing, updated_by) VALUES (p_workspace_id, p_billing, p_actor)
    ON CONFLICT (id) DO UPDATE SET billing = excluded.billing, updated_by = excluded.updated_by, updated_at = ledger_now();
END $$;

-- Which prices an account has.

CREATE TYPE price_group_answer AS (previous_group text, new_group text);

-- No row: unknown account. Open holds keep the price they were taken with.
CREATE FUNCTION set_price_group(p_user_id text, p_group text) RETURNS SETOF price_group_answer LANGUAGE plpgsql AS $$
DECLARE
  v_previous text;
BEGIN
  SELECT price_group INTO v_previous FROM user_accounts WHERE id = p_user_id FOR NO KEY UPDATE;
  IF FOUND THEN
    UPDATE user_accounts SET price_group = p_group, updated_at = ledger_now() WHERE id = p_user_id;
    RETURN NEXT ROW(v_previous, p_group)::price_group_answer;
  END IF;
END $$;

-- The part of the installation that a supervisor may see and act in.

-- Whether an account belongs to a workspace: every person to the default one, members to the others, a pool to its own.
CREATE FUNCTION is_within(p_account text, p_workspace text, p_is_default boolean) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF p_account LIKE 'ws\_%' THEN
    RETURN p_account = 'ws_' || p_workspace;
  END IF;
  RETURN p_is_default OR EXISTS (
    SELECT FROM workspace_members WHERE workspace_id = p_workspace AND user_id = p_account AND role IS NOT NULL);
END $$;

-- Whether something that was done in a workspace belongs to this one; what names none was done in the default one.
CREATE FUNCTION was_within(p_done_in text, p_workspace text, p_is_default boolean) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN p_done_in = p_workspace OR (p_is_default AND coalesce(p_done_in, '') = '');
END $$;
