-- Writing to the ledger: the one function through which credits move.

-- What the hash of a transaction covers: every column of it and its entries in their order. PostgreSQL writes a row as text without
-- ambiguity (it quotes what needs it), and nothing in this one depends on a setting. An SQL function, because it is inlined.
CREATE FUNCTION ledger_hash(t credit_transactions, p_accounts text[], p_amounts bigint[]) RETURNS bytea LANGUAGE sql STABLE AS $$
  SELECT sha256(t.prev_hash || convert_to(ROW(
    t.id, t.tenant_id, t.user_id, t.account_seq, t.type, t.available_change, t.held_change, t.debt_change,
    t.available_after, t.held_after, t.debt_after, t.hold_id, t.allocation_id, t.corrects_id, t.actor, t.reason, t.request_id,
    extract(epoch FROM t.created_at), p_accounts, p_amounts
  )::text, 'UTF8'))
$$;

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
  v_accounts text[];
  v_amounts bigint[];
BEGIN
  SELECT * INTO STRICT v_account FROM user_accounts WHERE id = p_user_id;
  SELECT array_agg(e.account ORDER BY e.n), array_agg(e.amount ORDER BY e.n) INTO v_accounts, v_amounts
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
  t.hash := ledger_hash(t, v_accounts, v_amounts);

  UPDATE user_accounts SET
    total_credits = t.available_after, held_credits = t.held_after, debt_credits = t.debt_after,
    ledger_seq = t.account_seq, ledger_hash = t.hash, updated_at = p_now
    WHERE id = p_user_id;
  INSERT INTO credit_transactions OVERRIDING SYSTEM VALUE SELECT t.*;
  INSERT INTO credit_entries (transaction_id, entry_no, account, amount)
    SELECT t.id, e.n, e.account, e.amount FROM unnest(v_accounts, v_amounts) WITH ORDINALITY AS e (account, amount, n);
  -- The one comparison that a charge pays for low-balance alerts; everything else happens on a crossing and when the sum rises.
  IF t.available_after + t.held_after < v_account.alert_below OR p_available + p_held > 0 THEN
    PERFORM watch_balance(t);
  END IF;
  RETURN t.id;
END $$;

-- What ledger_post() is asked for when many are posted together: nothing of a debt, and no amount of 0 among the others.
CREATE TYPE ledger_line AS (user_id text, note ledger_note, available bigint, held bigint, others text[], amounts bigint[]);

-- Writes the transactions of many lines as ledger_post() would one by one: those of an account in the order of the lines, each one
-- chained to the one before it. The caller has locked the accounts.
CREATE FUNCTION ledger_post_together(p_lines ledger_line[], p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  r record;
  t credit_transactions;
  v_user text;
  v_seq bigint;
  v_available bigint;
  v_held bigint;
  v_hash bytea;
  v_posted credit_transactions[] := '{}';
  v_last credit_transactions[] := '{}';
  v_watched credit_transactions[] := '{}';
  v_entries credit_entries[] := '{}';
BEGIN
  FOR r IN
    SELECT a.id AS user_id, (l.note).*, l.available, l.held, a.tenant_id, a.total_credits, a.held_credits, a.debt_credits, a.ledger_seq,
           a.ledger_hash, a.alert_below,
           CASE WHEN l.available = 0 THEN '{}' ELSE ARRAY['user:' || a.id || ':available'] END
             || CASE WHEN l.held = 0 THEN '{}' ELSE ARRAY['user:' || a.id || ':held'] END || l.others AS accounts,
           CASE WHEN l.available = 0 THEN '{}' ELSE ARRAY[l.available] END
             || CASE WHEN l.held = 0 THEN '{}' ELSE ARRAY[l.held] END || l.amounts AS amounts
    FROM unnest(p_lines) WITH ORDINALITY AS l (user_id, note, available, held, others, amounts, n)
    JOIN user_accounts a ON a.id = l.user_id ORDER BY l.user_id, l.n
  LOOP
    IF v_user IS DISTINCT FROM r.user_id THEN
      IF v_user IS NOT NULL THEN
        v_last := v_last || t;
      END IF;
      v_user := r.user_id;
      v_seq := r.ledger_seq;
      v_available := r.total_credits;
      v_held := r.held_credits;
      v_hash := r.ledger_hash;
    END IF;
    v_seq := v_seq + 1;
    v_available := v_available + r.available;
    v_held := v_held + r.held;
    -- In the order of the columns: one row at once, not a column at a time.
    t := ROW(
      nextval('credit_transactions_id_seq'), r.tenant_id, v_user, v_seq, r.type, r.available, r.held, 0, v_available, v_held,
      r.debt_credits, r.hold_id, r.allocation_id, r.corrects_id, r.actor, r.reason, r.request_id, p_now, v_hash, NULL);
    v_hash := ledger_hash(t, r.accounts, r.amounts);
    t.hash := v_hash;
    v_posted := v_posted || t;
    FOR n IN 1 .. cardinality(r.accounts) LOOP
      v_entries := v_entries || ROW(t.id, n, r.accounts[n], r.amounts[n])::credit_entries;
    END LOOP;
    IF v_available + v_held < r.alert_below OR r.available + r.held > 0 THEN
      v_watched := v_watched || t;
    END IF;
  END LOOP;
  IF v_user IS NULL THEN
    RETURN;
  END IF;
  v_last := v_last || t;
  UPDATE user_accounts a SET
    total_credits = l.available_after, held_credits = l.held_after, ledger_seq = l.account_seq, ledger_hash = l.hash, updated_at = p_now
    FROM unnest(v_last) l WHERE a.id = l.user_id;
  INSERT INTO credit_transactions OVERRIDING SYSTEM VALUE SELECT * FROM unnest(v_posted);
  INSERT INTO credit_entries SELECT * FROM unnest(v_entries);
  FOREACH t IN ARRAY v_watched LOOP
    -- What one of them crosses is not armed any more for the next.
    PERFORM watch_balance(t) FROM user_accounts a
      WHERE a.id = t.user_id AND (t.available_after + t.held_after < a.alert_below OR t.available_change + t.held_change > 0);
  END LOOP;
END $$;
