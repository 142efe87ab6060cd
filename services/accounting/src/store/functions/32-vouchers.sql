-- Vouchers: made by an admin, turned into a lot by the first who brings the code.

CREATE TYPE voucher_request AS (
  hashes text[], credits bigint, expiry_days integer, redeemable_until timestamptz,
  models text[], upstreams text[], workspace_id text, actor text
);

-- Stores vouchers under the hex SHA-256 of their codes and returns their ids, in order; none when the term has passed already.
CREATE FUNCTION create_vouchers(p voucher_request) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY INSERT INTO vouchers (
    code_sha256, credits, expiry_days, redeemable_until, models, upstreams, workspace_id, created_by, created_at
  ) SELECT decode(h.hash, 'hex'), p.credits, p.expiry_days, p.redeemable_until, p.models, p.upstreams, p.workspace_id, p.actor, ledger_now()
    FROM unnest(p.hashes) WITH ORDINALITY AS h (hash, n)
    WHERE p.redeemable_until > ledger_now() AND p.redeemable_until <= ledger_now() + interval '3650 days'
    ORDER BY h.n RETURNING id;
END $$;

CREATE TYPE redemption_answer AS (outcome text, voucher_id bigint, allocation_id bigint, credits bigint, remaining_credits bigint, expires_at timestamptz);

-- outcome: redeemed | taken | unknown (also: voided, or too late) | too_much
CREATE FUNCTION redeem_voucher(p_claims account_claims, p_hash text, p_actor text, p_request_id text) RETURNS redemption_answer LANGUAGE plpgsql AS $$
DECLARE
  a user_accounts := lock_account(p_claims);
  w vouchers;
  v redemption_answer;
  v_now timestamptz := ledger_now();
BEGIN
  -- Of all who bring the code at once the row lets one through; the others read it again when that one is done.
  UPDATE vouchers SET redeemed_by = a.id, redeemed_at = v_now
    WHERE code_sha256 = decode(p_hash, 'hex') AND redeemed_at IS NULL AND voided_at IS NULL AND redeemable_until > v_now
      AND a.total_credits + credits <= 9007199254740991
    RETURNING * INTO w;
  IF NOT FOUND THEN
    SELECT CASE WHEN redeemed_at IS NOT NULL THEN 'taken' WHEN voided_at IS NULL AND redeemable_until > v_now THEN 'too_much' END
      INTO v.outcome FROM vouchers WHERE code_sha256 = decode(p_hash, 'hex');
    v.outcome := coalesce(v.outcome, 'unknown');
    RETURN v;
  END IF;
  v.outcome := 'redeemed';
  v.voucher_id := w.id;
  v.credits := w.credits;
  v.allocation_id := add_lot(
    ROW(a.id, 'promo', w.credits, NULL, NULL, NULL, w.expiry_days, w.models, w.upstreams, w.workspace_id, 'voucher:' || w.id, p_actor,
        'Voucher ' || w.id, p_request_id)::lot_request, 'grant', v_now);
  UPDATE vouchers SET allocation_id = v.allocation_id WHERE id = w.id;
  SELECT l.remaining_credits, l.expires_at INTO v.remaining_credits, v.expires_at FROM credit_allocations l WHERE l.id = v.allocation_id;
  RETURN v;
END $$;

-- Makes a voucher worthless that nobody has redeemed. Repeating it changes nothing. outcome: voided | taken | unknown
CREATE FUNCTION void_voucher(p_id bigint, p_actor text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  UPDATE vouchers SET voided_at = ledger_now(), voided_by = p_actor WHERE id = p_id AND redeemed_at IS NULL AND voided_at IS NULL;
  IF FOUND THEN
    RETURN 'voided';
  END IF;
  RETURN coalesce((SELECT CASE WHEN redeemed_at IS NULL THEN 'voided' ELSE 'taken' END FROM vouchers WHERE id = p_id), 'unknown');
END $$;
