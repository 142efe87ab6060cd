-- The books checked against each other, in one read-only snapshot. Each view lists the offenders of one invariant (acceptance.md, I1-I9).

CREATE VIEW verify_projection AS
  SELECT a.id AS user_id, a.total_credits, a.held_credits, a.debt_credits,
         coalesce(e.available, 0) AS available_entries, coalesce(e.held, 0) AS held_entries, coalesce(-e.debt, 0) AS debt_entries
  FROM user_accounts a LEFT JOIN (
    SELECT t.user_id,
           sum(e.amount) FILTER (WHERE e.account = 'user:' || t.user_id || ':available') AS available,
           sum(e.amount) FILTER (WHERE e.account = 'user:' || t.user_id || ':held') AS held,
           sum(e.amount) FILTER (WHERE e.account = 'user:' || t.user_id || ':debt') AS debt
    FROM credit_transactions t JOIN credit_entries e ON e.transaction_id = t.id GROUP BY t.user_id
  ) e ON e.user_id = a.id
  WHERE (a.total_credits, a.held_credits, a.debt_credits) IS DISTINCT FROM (coalesce(e.available, 0), coalesce(e.held, 0), coalesce(-e.debt, 0));

CREATE VIEW verify_balanced AS
  SELECT t.id AS transaction_id, t.user_id, count(e.entry_no) AS entries, coalesce(sum(e.amount), 0) AS sum
  FROM credit_transactions t LEFT JOIN credit_entries e ON e.transaction_id = t.id
  GROUP BY t.id HAVING count(e.entry_no) < 2 OR coalesce(sum(e.amount), 0) <> 0;

CREATE VIEW verify_held AS
  SELECT a.id AS user_id, a.held_credits, coalesce(h.held, 0) AS open_holds
  FROM user_accounts a LEFT JOIN (
    SELECT user_id, sum(held_credits) AS held FROM streaming_sessions WHERE status = 'active' GROUP BY user_id
  ) h ON h.user_id = a.id
  WHERE a.held_credits <> coalesce(h.held, 0) OR a.total_credits < 0;

CREATE VIEW verify_terminal AS
  SELECT h.id AS hold_id, h.user_id, h.status, count(t.id) AS closing_transactions
  FROM streaming_sessions h LEFT JOIN credit_transactions t ON t.hold_id = h.id AND t.type IN ('settle', 'void')
  GROUP BY h.id
  HAVING count(t.id) <> CASE
    WHEN h.status = 'active' OR h.held_credits + h.charged_credits + h.written_off_credits + h.refunded_credits = 0 THEN 0 ELSE 1 END;

CREATE VIEW refunded_holds AS SELECT hold_id, sum(credits) AS credits FROM refunds GROUP BY hold_id;

CREATE VIEW verify_charge AS
  SELECT h.id AS hold_id, h.user_id, h.charged_credits, h.written_off_credits, coalesce(r.credits, 0) AS refunds,
         coalesce(e.revenue, 0) AS revenue
  FROM streaming_sessions h LEFT JOIN refunded_holds r ON r.hold_id = h.id LEFT JOIN (
    SELECT t.hold_id, sum(e.amount) AS revenue
    FROM credit_transactions t JOIN credit_entries e ON e.transaction_id = t.id AND e.account = 'revenue' GROUP BY t.hold_id
  ) e ON e.hold_id = h.id
  WHERE coalesce(e.revenue, 0) <> h.charged_credits + h.written_off_credits - coalesce(r.credits, 0);

CREATE VIEW verify_usage AS
  SELECT h.id AS hold_id, h.user_id, h.status, h.charged_credits, count(u.id) AS usage_rows, coalesce(sum(u.credits), 0) AS usage_credits
  FROM streaming_sessions h LEFT JOIN usage_logs u ON u.hold_id = h.id LEFT JOIN refunded_holds r ON r.hold_id = h.id
  GROUP BY h.id, r.credits
  HAVING count(u.id) FILTER (WHERE NOT u.is_correction) <> CASE h.status WHEN 'active' THEN 0 ELSE 1 END
      OR coalesce(sum(u.credits), 0) <> h.charged_credits - coalesce(r.credits, 0);

CREATE VIEW verify_keys AS
  SELECT caller, operation, key, created_at FROM idempotency_keys WHERE response_status IS NULL;

CREATE VIEW verify_lots AS
  SELECT a.id AS user_id, a.total_credits, a.held_credits, coalesce(l.remaining, 0) AS lots_remaining, coalesce(l.held, 0) AS lots_held
  FROM user_accounts a LEFT JOIN (
    SELECT user_id, sum(remaining_credits) AS remaining, sum(held_credits) AS held FROM credit_allocations GROUP BY user_id
  ) l ON l.user_id = a.id
  WHERE (a.total_credits, a.held_credits) IS DISTINCT FROM (coalesce(l.remaining, 0), coalesce(l.held, 0));

CREATE VIEW verify_hold_lots AS
  SELECT l.id AS allocation_id, l.user_id, l.held_credits, coalesce(h.held, 0) AS open_holds
  FROM credit_allocations l LEFT JOIN (
    SELECT t.allocation_id, sum(t.held_credits) AS held
    FROM hold_lots t JOIN streaming_sessions s ON s.id = t.hold_id AND s.status = 'active' GROUP BY t.allocation_id
  ) h ON h.allocation_id = l.id
  WHERE l.held_credits <> coalesce(h.held, 0);

-- Every transaction follows the one before it, and the account's head is the last one: shows an edit, a gap, another order, a cut tail.
CREATE VIEW verify_chain AS
  SELECT c.transaction_id, c.user_id, c.account_seq, c.expected_seq, c.fault FROM (
    SELECT t.id AS transaction_id, t.user_id, t.account_seq, row_number() OVER w AS expected_seq,
           CASE
             WHEN t.account_seq <> row_number() OVER w THEN 'sequence'
             WHEN t.prev_hash <> coalesce(lag(t.hash) OVER w, '\x') THEN 'previous hash'
             WHEN t.hash <> ledger_hash(t, (
               SELECT jsonb_agg(jsonb_build_array(e.account, e.amount) ORDER BY e.entry_no) FROM credit_entries e WHERE e.transaction_id = t.id
             )) THEN 'hash' END AS fault
    FROM credit_transactions t WINDOW w AS (PARTITION BY t.user_id ORDER BY t.account_seq)
  ) c WHERE c.fault IS NOT NULL
  UNION ALL
  SELECT NULL, a.id, a.ledger_seq, l.account_seq, 'head'
  FROM user_accounts a LEFT JOIN LATERAL (
    SELECT account_seq, hash FROM credit_transactions t WHERE t.user_id = a.id ORDER BY account_seq DESC LIMIT 1
  ) l ON true
  WHERE (a.ledger_seq, a.ledger_hash) IS DISTINCT FROM (coalesce(l.account_seq, 0), coalesce(l.hash, '\x'));
