-- The ledger: each change of credits is one transaction of two or more entries that sum to 0. Nothing in it is ever edited.
--
-- Entry accounts: user:{id}:available, user:{id}:held, user:{id}:debt, and per tenant issuance:{source}, revenue, expired, writeoff, refund.
-- A positive amount raises an account. A debt is a negative balance of user:{id}:debt.

CREATE TABLE credit_transactions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text NOT NULL DEFAULT 'default',
  user_id text NOT NULL REFERENCES user_accounts (id),
  -- Gapless per account, and chained by hash: an edit, insertion, deletion or new order shows in ledger_verify().
  account_seq bigint NOT NULL CHECK (account_seq > 0),
  type text NOT NULL CHECK (
    type IN ('grant', 'hold', 'extend', 'settle', 'void', 'late_settle', 'refund', 'expire', 'revoke', 'adjustment')
  ),
  available_change bigint NOT NULL,
  held_change bigint NOT NULL,
  debt_change bigint NOT NULL,
  available_after credits NOT NULL,
  held_after credits NOT NULL,
  debt_after credits NOT NULL,
  hold_id uuid,
  allocation_id bigint,
  -- The transaction that this one corrects.
  corrects_id bigint REFERENCES credit_transactions (id),
  actor text NOT NULL,
  reason text,
  request_id text,
  created_at timestamptz NOT NULL,
  prev_hash bytea NOT NULL,
  hash bytea NOT NULL,
  UNIQUE (user_id, account_seq)
);
CREATE INDEX credit_transactions_hold ON credit_transactions (hold_id) WHERE hold_id IS NOT NULL;

CREATE TABLE credit_entries (
  transaction_id bigint NOT NULL REFERENCES credit_transactions (id),
  entry_no smallint NOT NULL CHECK (entry_no > 0),
  account text NOT NULL,
  amount bigint NOT NULL CHECK (amount <> 0),
  PRIMARY KEY (transaction_id, entry_no)
);

CREATE TRIGGER transactions_stay BEFORE UPDATE OR DELETE ON credit_transactions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transactions_stay_all BEFORE TRUNCATE ON credit_transactions EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE ON credit_entries FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entries_stay_all BEFORE TRUNCATE ON credit_entries EXECUTE FUNCTION refuse_change();

CREATE FUNCTION require_balance(p_transaction bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_sum numeric;
  v_count bigint;
BEGIN
  SELECT coalesce(sum(amount), 0), count(*) INTO v_sum, v_count FROM credit_entries WHERE transaction_id = p_transaction;
  IF v_sum <> 0 OR v_count < 2 THEN
    RAISE EXCEPTION 'ledger transaction % is not balanced: % entries with the sum %', p_transaction, v_count, v_sum
      USING ERRCODE = 'check_violation';
  END IF;
END $$;

CREATE FUNCTION require_balanced_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM require_balance(NEW.id);
  RETURN NULL;
END $$;

CREATE FUNCTION require_balanced_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM require_balance(NEW.transaction_id);
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER transactions_balance AFTER INSERT ON credit_transactions
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_balanced_transaction();
CREATE CONSTRAINT TRIGGER entries_balance AFTER INSERT ON credit_entries
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_balanced_entry();

-- What the hash of a transaction covers: every column of it and its entries, in a form without ambiguity.
CREATE FUNCTION ledger_hash(t credit_transactions, p_entries jsonb) RETURNS bytea LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN sha256(t.prev_hash || convert_to(jsonb_build_array(
    t.id, t.tenant_id, t.user_id, t.account_seq, t.type, t.available_change, t.held_change, t.debt_change,
    t.available_after, t.held_after, t.debt_after, t.hold_id, t.allocation_id, t.corrects_id, t.actor, t.reason, t.request_id,
    (extract(epoch FROM t.created_at) * 1000000)::bigint, p_entries
  )::text, 'UTF8'));
END $$;

-- Why credits move: what a transaction says beside its amounts.
CREATE TYPE ledger_note AS (
  type text,
  hold_id uuid,
  allocation_id bigint,
  corrects_id bigint,
  actor text,
  reason text,
  request_id text
);

-- Writes one transaction and the projection on the account, together. The caller has locked the account row.
-- p_others are the system accounts of the other side; amounts of 0 are left out.
CREATE FUNCTION ledger_post(
  p_user_id text, p_note ledger_note, p_available bigint, p_held bigint, p_debt bigint,
  p_others text[], p_amounts bigint[], p_now timestamptz
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_account user_accounts;
  t credit_transactions;
  v_entries jsonb;
BEGIN
  SELECT * INTO STRICT v_account FROM user_accounts WHERE id = p_user_id;
  SELECT jsonb_agg(jsonb_build_array(e.account, e.amount) ORDER BY e.n) INTO v_entries
    FROM unnest(
      ARRAY['user:' || p_user_id || ':available', 'user:' || p_user_id || ':held', 'user:' || p_user_id || ':debt'] || p_others,
      ARRAY[p_available, p_held, -p_debt] || p_amounts
    ) WITH ORDINALITY AS e (account, amount, n)
    WHERE e.amount <> 0;

  t.id := nextval('credit_transactions_id_seq');
  t.tenant_id := v_account.tenant_id;
  t.user_id := p_user_id;
  t.account_seq := v_account.ledger_seq + 1;
  t.type := p_note.type;
  t.available_change := p_available;
  t.held_change := p_held;
  t.debt_change := p_debt;
  t.available_after := v_account.total_credits + p_available;
  t.held_after := v_account.held_credits + p_held;
  t.debt_after := v_account.debt_credits + p_debt;
  t.hold_id := p_note.hold_id;
  t.allocation_id := p_note.allocation_id;
  t.corrects_id := p_note.corrects_id;
  t.actor := p_note.actor;
  t.reason := p_note.reason;
  t.request_id := p_note.request_id;
  t.created_at := p_now;
  t.prev_hash := v_account.ledger_hash;
  t.hash := ledger_hash(t, v_entries);

  UPDATE user_accounts SET
    total_credits = t.available_after, held_credits = t.held_after, debt_credits = t.debt_after,
    ledger_seq = t.account_seq, ledger_hash = t.hash, updated_at = p_now
    WHERE id = p_user_id;
  INSERT INTO credit_transactions OVERRIDING SYSTEM VALUE SELECT t.*;
  INSERT INTO credit_entries (transaction_id, entry_no, account, amount)
    SELECT t.id, e.n, e.pair ->> 0, (e.pair ->> 1)::bigint FROM jsonb_array_elements(v_entries) WITH ORDINALITY AS e (pair, n);
  RETURN t.id;
END $$;
