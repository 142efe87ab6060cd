-- Events for the world outside, written in the same transaction as what they tell of. Their types and payloads are those of
-- @tollgate/contracts (accounting/outbox-events.ts); how they are delivered is the service's affair.

CREATE FUNCTION emit_event(p_tenant_id text, p_type text, p_user_id text, p_payload jsonb, p_now timestamptz)
RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
  v_id uuid;
BEGIN
  INSERT INTO outbox (tenant_id, type, user_id, payload, created_at)
    VALUES (p_tenant_id, p_type, p_user_id, p_payload, coalesce(p_now, ledger_now())) RETURNING id INTO v_id;
  RETURN v_id;
END $$;
