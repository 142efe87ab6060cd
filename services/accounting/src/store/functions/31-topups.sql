-- Orders of credits, and what their providers say about them.

CREATE TYPE topup_request AS (claims account_claims, provider text, credits bigint, amount_minor bigint, currency text);

CREATE FUNCTION create_topup(p topup_request) RETURNS topup_orders LANGUAGE plpgsql AS $$
DECLARE
  a user_accounts := lock_account(p.claims);
  o topup_orders;
BEGIN
  INSERT INTO topup_orders (tenant_id, user_id, provider, credits, amount_minor, currency, created_at, changed_at)
    VALUES (a.tenant_id, a.id, p.provider, p.credits, p.amount_minor, p.currency, ledger_now(), ledger_now())
    RETURNING * INTO o;
  RETURN o;
END $$;

CREATE TYPE payment_event AS (
  provider text, event_id text, type text, kind text,
  order_id uuid, payment_id text, amount_minor bigint, currency text,
  body_sha256 text,
  -- Who bears what was spent of a payment that went back: absorb (nobody) | debt (the user).
  policy text, request_id text
);

-- outcome: applied | ignored | waiting | refused:order, refused:provider, refused:amount, refused:payment
CREATE TYPE payment_answer AS (
  outcome text, is_repetition boolean, order_id uuid, user_id text, state text,
  granted_credits bigint, taken_back_credits bigint, shortfall_credits bigint
);

-- Takes a genuine event in, once: the event, the state of its order and the credits are one transaction. What the event itself says
-- about credits does not exist; what it says about money must be what the order says.
CREATE FUNCTION receive_payment(p payment_event) RETURNS payment_answer LANGUAGE plpgsql AS $$
DECLARE
  o topup_orders;
  v payment_answer;
BEGIN
  -- Events of one payment come in any order and at once.
  PERFORM pg_advisory_xact_lock(hashtextextended('payment:' || p.provider || ':' || coalesce(p.payment_id, p.event_id), 2));
  SELECT e.outcome, true, e.order_id INTO v.outcome, v.is_repetition, v.order_id
    FROM payment_events e WHERE e.provider = p.provider AND e.event_id = p.event_id;
  IF FOUND THEN
    RETURN v;
  END IF;
  -- Whoever has an account may wait for its orders (book_recalled), but not the other way round.
  PERFORM FROM user_accounts WHERE id = (
    SELECT user_id FROM topup_orders
    WHERE id = p.order_id OR p.order_id IS NULL AND provider = p.provider AND payment_id = p.payment_id) FOR NO KEY UPDATE;
  SELECT * INTO o FROM topup_orders
    WHERE id = p.order_id OR p.order_id IS NULL AND provider = p.provider AND payment_id = p.payment_id FOR NO KEY UPDATE;
  v.outcome := judge_payment(o, p);
  INSERT INTO payment_events (
    provider, event_id, type, kind, payment_id, amount_minor, currency, order_id, outcome, body_sha256, received_at
  ) VALUES (
    p.provider, p.event_id, p.type, p.kind, p.payment_id, p.amount_minor, p.currency, o.id, v.outcome, p.body_sha256, ledger_now()
  ) ON CONFLICT (provider, event_id) DO NOTHING;
  IF NOT FOUND THEN
    -- The same event named another payment a moment ago; that one counts.
    v.outcome := 'ignored';
  ELSIF v.outcome = 'applied' THEN
    v := apply_payment(o, p);
  END IF;
  v.is_repetition := false;
  v.order_id := o.id;
  v.user_id := o.user_id;
  RETURN v;
END $$;

CREATE FUNCTION judge_payment(o topup_orders, p payment_event) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN CASE
    WHEN p.kind = 'other' THEN 'ignored'
    WHEN o.id IS NULL AND p.order_id IS NOT NULL THEN 'refused:order'
    -- Nothing says that it is about an order of ours; a refund may have overtaken its payment.
    WHEN o.id IS NULL THEN CASE WHEN p.kind IN ('refunded', 'charged_back') AND p.payment_id IS NOT NULL THEN 'waiting' ELSE 'ignored' END
    WHEN o.provider <> p.provider THEN 'refused:provider'
    WHEN p.kind = 'failed' THEN 'applied'
    WHEN p.payment_id IS NULL OR coalesce(o.payment_id, p.payment_id) <> p.payment_id
      OR EXISTS (SELECT FROM topup_orders x WHERE x.provider = p.provider AND x.payment_id = p.payment_id AND x.id <> o.id)
      THEN 'refused:payment'
    WHEN p.currency IS DISTINCT FROM o.currency THEN 'refused:amount'
    WHEN p.kind = 'paid' AND p.amount_minor IS DISTINCT FROM o.amount_minor THEN 'refused:amount'
    WHEN p.kind = 'refunded' AND (p.amount_minor BETWEEN 1 AND o.amount_minor) IS NOT TRUE THEN 'refused:amount'
    ELSE 'applied' END;
END $$;

-- Moves the order as far as the event says, and the credits with it. The account and the order are locked.
CREATE FUNCTION apply_payment(o topup_orders, p payment_event) RETURNS payment_answer LANGUAGE plpgsql AS $$
DECLARE
  v payment_answer;
  -- What overtook the payment.
  v_refunded bigint := greatest(o.refunded_minor, CASE p.kind WHEN 'refunded' THEN p.amount_minor ELSE 0 END, CASE p.kind WHEN 'paid' THEN (
    SELECT max(least(e.amount_minor, o.amount_minor)) FROM payment_events e
    WHERE e.provider = o.provider AND e.payment_id = p.payment_id AND e.outcome = 'waiting' AND e.kind = 'refunded'
      AND e.currency = o.currency) END);
  v_charged_back boolean := o.state = 'charged_back' OR p.kind = 'charged_back' OR p.kind = 'paid' AND EXISTS (
    SELECT FROM payment_events e
    WHERE e.provider = o.provider AND e.payment_id = p.payment_id AND e.outcome = 'waiting' AND e.kind = 'charged_back');
  v_state text := CASE
    WHEN v_charged_back THEN 'charged_back'
    WHEN v_refunded = o.amount_minor THEN 'refunded'
    WHEN p.kind = 'paid' OR o.state = 'paid' THEN 'paid'
    WHEN p.kind = 'failed' THEN 'failed'
    ELSE o.state END;
BEGIN
  v.outcome := 'applied';
  v.state := v_state;
  IF p.kind = 'paid' AND v_state = 'paid' AND o.allocation_id IS NULL THEN
    o.allocation_id := add_lot(
      ROW(o.user_id, 'topup', o.credits, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'payment:' || o.id, 'provider:' || o.provider,
          'Top-up ' || o.id, p.request_id)::lot_request, 'grant', ledger_now());
    v.granted_credits := o.credits;
  END IF;
  UPDATE topup_orders SET
    state = v_state, refunded_minor = v_refunded, changed_at = ledger_now(), allocation_id = o.allocation_id,
    payment_id = CASE p.kind WHEN 'failed' THEN payment_id ELSE p.payment_id END
    WHERE id = o.id RETURNING * INTO o;
  IF p.kind <> 'failed' AND (v_charged_back OR v_refunded > 0) THEN
    SELECT t.taken_back, t.shortfall INTO v.taken_back_credits, v.shortfall_credits FROM take_back_order(o, p) t;
  END IF;
  RETURN v;
END $$;

CREATE TYPE taken_back AS (taken_back bigint, shortfall bigint);

-- Takes the credits of money that went back: what remains of the lot; then what is held of it, as soon as that is released (recall_credits);
-- and for what was spent of it the user owes or nobody pays. The account and the order are locked.
CREATE FUNCTION take_back_order(o topup_orders, p payment_event) RETURNS taken_back LANGUAGE plpgsql AS $$
DECLARE
  v_is_whole boolean := o.state IN ('refunded', 'charged_back');
  v_now timestamptz := ledger_now();
  l credit_allocations;
  v_due bigint;
  v taken_back;
  v_recall bigint;
BEGIN
  UPDATE user_accounts SET
    flagged_reason = CASE o.state WHEN 'charged_back' THEN 'Payment charged back: order ' ELSE 'Payment refunded: order ' END || o.id,
    flagged_at = v_now
    WHERE id = o.user_id;
  SELECT * INTO l FROM credit_allocations WHERE id = o.allocation_id;
  IF NOT FOUND THEN
    RETURN ROW(0, 0)::taken_back;
  END IF;
  -- A part of the money takes the same part of the credits, rounded in favour of the user.
  v_due := CASE WHEN v_is_whole THEN o.credits ELSE div(o.credits::numeric * o.refunded_minor, o.amount_minor)::bigint END
           - o.taken_back_credits - o.shortfall_credits;
  v.taken_back := least(l.remaining_credits, v_due);
  v_recall := least(l.held_credits, v_due - v.taken_back);
  v.shortfall := least(v_due - v.taken_back - v_recall, greatest(l.consumed_credits - o.shortfall_credits, 0));
  UPDATE credit_allocations SET
    remaining_credits = remaining_credits - v.taken_back, revoked_credits = revoked_credits + v.taken_back, recall_credits = v_recall,
    voided_at = CASE WHEN v_is_whole THEN coalesce(voided_at, v_now) ELSE voided_at END
    WHERE id = l.id;
  UPDATE topup_orders SET taken_back_credits = taken_back_credits + v.taken_back WHERE id = o.id;
  PERFORM book_shortfall(
    o, v, p.policy,
    ROW('revoke', NULL, l.id, NULL, 'provider:' || o.provider, 'Payment of order ' || o.id || ' went back', p.request_id)::ledger_note, v_now);
  RETURN v;
END $$;

-- Books what was taken of what remained (the lot is changed already), and what was spent and is owed or written off.
CREATE FUNCTION book_shortfall(o topup_orders, v taken_back, p_policy text, p_note ledger_note, p_now timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_debt bigint := CASE p_policy WHEN 'debt' THEN v.shortfall ELSE 0 END;
BEGIN
  IF v.taken_back + v.shortfall > 0 THEN
    UPDATE topup_orders SET
      shortfall_credits = shortfall_credits + v.shortfall, written_off_credits = written_off_credits + v.shortfall - v_debt
      WHERE id = o.id;
    PERFORM ledger_post(
      o.user_id, p_note, -v.taken_back, 0, v_debt,
      ARRAY['issuance:topup', 'writeoff'], ARRAY[v.taken_back + v.shortfall, v_debt - v.shortfall], p_now);
  END IF;
END $$;

-- What the closing of a hold means to orders whose money went back meanwhile: what it released is taken, what it used is a shortfall.
-- The account is locked.
CREATE FUNCTION book_recalled(v released_lots, p close_request, p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  o topup_orders;
  r record;
BEGIN
  FOR r IN SELECT * FROM unnest(v.recalled_lots, v.taken_back, v.short) AS t (lot_id, taken_back, short) LOOP
    UPDATE topup_orders SET taken_back_credits = taken_back_credits + r.taken_back
      WHERE user_id = (SELECT user_id FROM credit_allocations WHERE id = r.lot_id) AND allocation_id = r.lot_id RETURNING * INTO STRICT o;
    PERFORM book_shortfall(
      o, ROW(0, r.short)::taken_back, p.policy,
      ROW('revoke', NULL, r.lot_id, NULL, p.actor, 'Hold ' || p.hold_id || ' has spent of order ' || o.id || ', whose payment went back',
          p.request_id)::ledger_note, p_now);
  END LOOP;
END $$;

-- Notes of orders what people or a late settlement gave back of them instead of to the user: a shortfall that is none any more, and
-- what was to be recalled. The issuer has got both, and the first twice: when it was written off as well. The account is locked.
CREATE FUNCTION take_back_returned(v returned_lots, p_note ledger_note, p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  o topup_orders;
  r record;
BEGIN
  FOR r IN SELECT * FROM unnest(v.orders, v.written_off, v.recalled) AS t (order_id, written_off, recalled) LOOP
    UPDATE topup_orders SET
      taken_back_credits = taken_back_credits + r.written_off + r.recalled,
      shortfall_credits = shortfall_credits - r.written_off, written_off_credits = written_off_credits - r.written_off
      WHERE id = r.order_id RETURNING * INTO STRICT o;
    IF r.written_off > 0 THEN
      PERFORM ledger_post(
        o.user_id,
        ROW('revoke', NULL, o.allocation_id, NULL, p_note.actor, 'Given back of order ' || o.id || ', whose payment went back',
            p_note.request_id)::ledger_note,
        0, 0, 0, ARRAY['issuance:topup', 'writeoff'], ARRAY[-r.written_off, r.written_off], p_now);
    END IF;
  END LOOP;
END $$;

-- Orders that gave something else than one lot of their credits, or still let be spent what was paid back.
CREATE VIEW verify_topups AS
  SELECT o.id AS order_id, o.user_id, o.state, o.credits, l.total_credits AS lot_credits
  FROM topup_orders o LEFT JOIN credit_allocations l ON l.id = o.allocation_id
  WHERE (l.id IS NOT NULL AND (l.total_credits <> o.credits OR l.source <> 'topup' OR l.user_id <> o.user_id))
     OR (o.state IN ('refunded', 'charged_back') AND l.id IS NOT NULL AND l.voided_at IS NULL)
     OR o.taken_back_credits + o.shortfall_credits + l.recall_credits > o.credits
     OR (o.state = 'paid' AND o.refunded_minor = 0 AND l.recall_credits > 0)
     OR (SELECT count(*) FROM credit_allocations x WHERE x.user_id = o.user_id AND x.grant_key = 'payment:' || o.id)
        <> CASE WHEN l.id IS NULL THEN 0 ELSE 1 END;
