-- The ledger: each change of credits is one transaction of two or more entries that sum to 0. Nothing in it is ever edited.
--
-- Entry accounts: user:{id}:available, user:{id}:held, user:{id}:debt, and per tenant issuance:{source}, revenue, expired, writeoff, refund.
-- A positive amount raises an account. A debt is a negative balance of user:{id}:debt.

CREATE TABLE credit_transactions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text NOT NULL DEFAULT 'default',
  user_id text NOT NULL REFERENCES user_accounts (id),
  -- Gapless per account, and chained by hash: an edit, insertion, deletion or new order shows in the view verify_chain.
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
