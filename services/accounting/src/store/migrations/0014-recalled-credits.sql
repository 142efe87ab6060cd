-- Money that went back while its credits were held.

-- What is still to be taken of a lot, from what is held of it now: part of held_credits and of no sum. What a hold releases goes to it
-- first; what it uses instead becomes the shortfall of the order (functions/31-topups.sql).
ALTER TABLE credit_allocations
  ADD COLUMN recall_credits credits NOT NULL DEFAULT 0,
  ADD CONSTRAINT lot_recalls_what_is_held CHECK (recall_credits <= held_credits);

-- The part of the shortfall that nobody pays; the rest of it the user owes, or has paid.
ALTER TABLE topup_orders
  ADD COLUMN written_off_credits credits NOT NULL DEFAULT 0,
  ADD CONSTRAINT order_writes_off_its_shortfall CHECK (written_off_credits <= shortfall_credits);

UPDATE topup_orders o SET written_off_credits = w.credits FROM (
  SELECT t.allocation_id, -sum(e.amount) AS credits
  FROM credit_transactions t JOIN credit_entries e ON e.transaction_id = t.id AND e.account = 'writeoff'
  WHERE t.type = 'revoke' GROUP BY t.allocation_id) w
  WHERE w.allocation_id = o.allocation_id;

-- Money that went back before there was a recall, of credits that are held still.
UPDATE credit_allocations l SET recall_credits = least(l.held_credits, greatest(0,
    CASE WHEN o.state = 'paid' THEN div(o.credits::numeric * o.refunded_minor, o.amount_minor)::bigint ELSE o.credits END
    - o.taken_back_credits - o.shortfall_credits))
  FROM topup_orders o
  WHERE o.allocation_id = l.id AND l.held_credits > 0 AND (o.state <> 'paid' OR o.refunded_minor > 0);
