-- Signed heads: the service finds the leaves, builds the tree and signs; here the result is checked against the ledger and kept.

CREATE TYPE head_request AS (
  number bigint, taken_at timestamptz, previous_hash bytea, root bytea, transactions bigint, hash bytea, key_id text, signature bytea,
  scan_from bigint, last_id bigint, next_xid bigint, user_ids text[], seqs bigint[]
);

-- outcome: appended | late (another head was faster)
CREATE FUNCTION append_head(p head_request) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_last ledger_heads;
  v_leaves bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('ledger_heads', 3));
  SELECT * INTO v_last FROM ledger_heads ORDER BY number DESC LIMIT 1;
  IF p.number <> coalesce(v_last.number, 0) + 1 OR p.previous_hash <> coalesce(v_last.hash, '\x') THEN
    RETURN 'late';
  END IF;
  INSERT INTO ledger_heads (
    number, taken_at, previous_hash, root, accounts, transactions, hash, key_id, signature, scan_from, last_id, next_xid
  ) VALUES (
    p.number, p.taken_at, p.previous_hash, p.root, cardinality(p.user_ids), p.transactions, p.hash, p.key_id, p.signature,
    p.scan_from, p.last_id, p.next_xid
  );
  INSERT INTO ledger_head_leaves (head_number, user_id, account_seq, hash)
    SELECT p.number, t.user_id, t.account_seq, t.hash
    FROM unnest(p.user_ids, p.seqs) AS u (user_id, account_seq) JOIN credit_transactions t USING (user_id, account_seq);
  GET DIAGNOSTICS v_leaves = ROW_COUNT;
  IF v_leaves <> cardinality(p.user_ids) THEN
    RAISE EXCEPTION 'head % names % transactions that are not in the ledger', p.number, cardinality(p.user_ids) - v_leaves;
  END IF;
  RETURN 'appended';
END $$;

-- Every transaction that a head has named is still in its account's chain: shows a rewritten history and a cut tail, also when the
-- account was rewound to match.
CREATE VIEW verify_anchors AS
  SELECT l.user_id, l.account_seq, l.head_number, t.id AS transaction_id,
         CASE WHEN t.id IS NULL THEN 'missing' ELSE 'rewritten' END AS fault
  FROM ledger_head_leaves l LEFT JOIN credit_transactions t ON t.user_id = l.user_id AND t.account_seq = l.account_seq
  WHERE t.hash IS DISTINCT FROM l.hash;
