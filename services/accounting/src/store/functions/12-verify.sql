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
    SELECT payer_id, sum(held_credits) AS held FROM streaming_sessions WHERE status = 'active' GROUP BY payer_id
  ) h ON h.payer_id = a.id
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

-- What open holds have reserved of a limit is what its counter says.
CREATE VIEW verify_limits AS
  SELECT c.limit_id, c.subject, c.window_start, c.reserved, coalesce(h.reserved, 0) AS open_holds
  FROM limit_counters c LEFT JOIN (
    SELECT k.limit_id, k.subject, k.window_start, sum(k.amount) AS reserved
    FROM streaming_sessions s, jsonb_populate_recordset(NULL::ledger.limit_count, s.limit_counts) k
    WHERE s.status = 'active' AND s.limit_counts IS NOT NULL AND k.measure <> 'requests' GROUP BY 1, 2, 3
  ) h USING (limit_id, subject, window_start)
  WHERE c.reserved <> coalesce(h.reserved, 0);

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

-- What belongs to nobody: the place of the foreign keys that the busiest tables do without (migration 0022).
CREATE VIEW verify_references AS
  SELECT h.id::text AS name, h.user_id, 'the user of a hold' AS missing FROM streaming_sessions h
    WHERE NOT EXISTS (SELECT FROM user_accounts a WHERE a.id = h.user_id)
  UNION ALL SELECT h.id::text, h.user_id, 'the payer of a hold' FROM streaming_sessions h
    WHERE NOT EXISTS (SELECT FROM user_accounts a WHERE a.id = h.payer_id)
  UNION ALL SELECT t.id::text, t.user_id, 'the account of a transaction' FROM credit_transactions t
    WHERE NOT EXISTS (SELECT FROM user_accounts a WHERE a.id = t.user_id)
  UNION ALL SELECT t.hold_id::text, NULL, 'the hold that took from a lot' FROM hold_lots t
    WHERE NOT EXISTS (SELECT FROM streaming_sessions h WHERE h.id = t.hold_id)
  UNION ALL SELECT t.hold_id::text, NULL, 'the lot that a hold took from' FROM hold_lots t
    WHERE NOT EXISTS (SELECT FROM credit_allocations l WHERE l.id = t.allocation_id);

-- Lots that were passed over: for all that was ever held or taken of them they cannot have run dry, and yet a hold that was opened
-- after they were there, and ended before they lapse, has taken from a lot behind them. Those with a filter are not judged.
CREATE VIEW verify_order AS
  WITH taken AS (
    SELECT l.allocation_id, sum(l.consumed_credits) AS consumed, sum(l.held_credits + l.consumed_credits + h.overrun_credits) AS most,
           max(t.account_seq) AS last_seq, max(h.created_at) AS last_at, max(coalesce(h.corrected_at, h.closed_at, 'infinity')) AS ended_at
    FROM hold_lots l JOIN streaming_sessions h ON h.id = l.hold_id JOIN credit_transactions t ON t.hold_id = h.id AND t.type = 'hold'
    GROUP BY l.allocation_id
  ), granted AS (
    SELECT allocation_id, min(account_seq) AS seq FROM credit_transactions WHERE allocation_id IS NOT NULL GROUP BY allocation_id
  )
  SELECT a.id AS allocation_id, a.user_id, b.id AS spent_allocation_id, b_taken.last_seq AS spent_seq
  FROM credit_allocations a JOIN granted ON granted.allocation_id = a.id LEFT JOIN taken a_taken ON a_taken.allocation_id = a.id
  JOIN credit_allocations b ON b.user_id = a.user_id
    AND (a.priority, coalesce(a.expires_at, 'infinity'), a.is_paid, a.effective_at, a.id)
      < (b.priority, coalesce(b.expires_at, 'infinity'), b.is_paid, b.effective_at, b.id)
  JOIN taken b_taken ON b_taken.allocation_id = b.id
  WHERE num_nonnulls(a.models, a.upstreams, a.workspace_id, a.voided_at) = 0
    AND granted.seq < b_taken.last_seq AND a.effective_at <= b_taken.last_at
    AND (a.expires_at IS NULL OR a.expires_at > b_taken.ended_at)
    -- What else was consumed of it has repaid a debt when it was granted.
    AND a.total_credits - a.revoked_credits - coalesce(a_taken.most, 0)
      - greatest(a.consumed_credits - coalesce(a_taken.consumed, 0), 0) > 0;

-- An account shows the balance and the hash of its last transaction.
CREATE VIEW verify_head AS
  SELECT a.id AS user_id, a.ledger_seq, coalesce(l.account_seq, 0) AS last_seq, a.ledger_hash <> coalesce(l.hash, '\x') AS is_other_hash,
         a.total_credits, a.held_credits, a.debt_credits
  FROM user_accounts a LEFT JOIN LATERAL (
    SELECT t.account_seq, t.hash, t.available_after, t.held_after, t.debt_after
    FROM credit_transactions t WHERE t.user_id = a.id ORDER BY t.account_seq DESC LIMIT 1
  ) l ON true
  WHERE (a.ledger_seq, a.ledger_hash, a.total_credits, a.held_credits, a.debt_credits) IS DISTINCT FROM
    (coalesce(l.account_seq, 0), coalesce(l.hash, '\x'), coalesce(l.available_after, 0), coalesce(l.held_after, 0), coalesce(l.debt_after, 0));

-- The entries of a transaction say what the transaction says: the part of verify_projection that one transaction shows alone.
CREATE VIEW verify_changes AS
  SELECT t.id AS transaction_id, t.user_id, t.available_change, t.held_change, t.debt_change
  FROM credit_transactions t LEFT JOIN credit_entries e ON e.transaction_id = t.id AND e.account LIKE 'user:%' GROUP BY t.id
  HAVING coalesce(sum(e.amount) FILTER (WHERE e.account = 'user:' || t.user_id || ':available'), 0) <> t.available_change
      OR coalesce(sum(e.amount) FILTER (WHERE e.account = 'user:' || t.user_id || ':held'), 0) <> t.held_change
      OR coalesce(-sum(e.amount) FILTER (WHERE e.account = 'user:' || t.user_id || ':debt'), 0) <> t.debt_change;

-- Every transaction follows the one before it, and the account's head is the last one: shows an edit, a gap, another order, a cut tail.
CREATE VIEW verify_chain AS
  SELECT c.transaction_id, c.user_id, c.account_seq, c.expected_seq, c.fault FROM (
    SELECT t.id AS transaction_id, t.user_id, t.account_seq, coalesce(p.account_seq, 0) + 1 AS expected_seq,
           CASE
             WHEN p.id IS NULL AND t.account_seq <> 1 THEN 'sequence'
             WHEN t.prev_hash <> coalesce(p.hash, '\x') THEN 'previous hash'
             WHEN t.hash <> t.true_hash THEN 'hash'
             WHEN t.entries <> coalesce(t.last_entry, 0) THEN 'entries' END AS fault
    FROM (
      SELECT t.id, t.user_id, t.account_seq, t.prev_hash, t.hash, count(*) AS entries, max(e.entry_no) AS last_entry,
             ledger_hash(t, array_agg(e.account ORDER BY e.entry_no), array_agg(e.amount ORDER BY e.entry_no)) AS true_hash
      FROM credit_transactions t LEFT JOIN credit_entries e ON e.transaction_id = t.id GROUP BY t.id
    ) t LEFT JOIN credit_transactions p ON p.user_id = t.user_id AND p.account_seq = t.account_seq - 1
  ) c WHERE c.fault IS NOT NULL
  UNION ALL
  SELECT NULL, h.user_id, h.ledger_seq, h.last_seq, 'head' FROM verify_head h
  WHERE h.ledger_seq <> h.last_seq OR h.is_other_hash;
