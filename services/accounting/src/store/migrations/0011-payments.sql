-- Refunds, top-ups and vouchers: the ways by which credits come in and go back, each with the row that makes it happen once.

-- Why an account needs a person's eye, such as a payment that was charged back.
ALTER TABLE user_accounts ADD COLUMN flagged_reason text, ADD COLUMN flagged_at timestamptz;

-- What people gave back of a charge. A closed hold is never changed: its charge less these rows is what was paid in the end.
CREATE TABLE refunds (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text NOT NULL DEFAULT 'default',
  user_id text NOT NULL REFERENCES user_accounts (id),
  hold_id uuid NOT NULL REFERENCES streaming_sessions (id),
  credits credits NOT NULL CHECK (credits > 0),
  -- Parts of it: what repaid a debt, and what went to a new lot because its own had lapsed.
  debt_repaid credits NOT NULL,
  lapsed_credits credits NOT NULL,
  allocation_id bigint REFERENCES credit_allocations (id),
  transaction_id bigint NOT NULL UNIQUE REFERENCES credit_transactions (id),
  actor text NOT NULL,
  reason text NOT NULL,
  request_id text,
  created_at timestamptz NOT NULL,
  CONSTRAINT refund_parts CHECK (debt_repaid + lapsed_credits <= credits),
  CONSTRAINT refund_lot CHECK ((lapsed_credits > 0) = (allocation_id IS NOT NULL))
);
CREATE INDEX refunds_of_hold ON refunds (hold_id);
CREATE TRIGGER refunds_stay BEFORE UPDATE OR DELETE ON refunds FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refunds_stay_all BEFORE TRUNCATE ON refunds EXECUTE FUNCTION refuse_change();

-- An order of credits, paid at a provider. pending → failed → paid → refunded | charged_back, only ever forward.
CREATE TABLE topup_orders (
  -- Position in lists; the id that others see is not to be guessed.
  seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL DEFAULT 'default',
  user_id text NOT NULL REFERENCES user_accounts (id),
  provider text NOT NULL,
  credits credits NOT NULL CHECK (credits > 0),
  -- In the smallest unit of the currency.
  amount_minor bigint NOT NULL CHECK (amount_minor > 0),
  currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'failed', 'paid', 'refunded', 'charged_back')),
  -- The provider's name of the payment that paid it.
  payment_id text,
  allocation_id bigint REFERENCES credit_allocations (id),
  -- Money that went back, and the credits that were taken back for it: from the lot, or as a shortfall.
  refunded_minor bigint NOT NULL DEFAULT 0 CHECK (refunded_minor BETWEEN 0 AND amount_minor),
  taken_back_credits credits NOT NULL DEFAULT 0,
  shortfall_credits credits NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  changed_at timestamptz NOT NULL,
  CONSTRAINT order_takes_back_what_it_gave CHECK (taken_back_credits + shortfall_credits <= credits),
  CONSTRAINT paid_order_has_lot CHECK (state <> 'paid' OR (allocation_id IS NOT NULL AND payment_id IS NOT NULL)),
  UNIQUE (provider, payment_id)
);
CREATE INDEX topup_orders_of_user ON topup_orders (user_id, seq);

CREATE FUNCTION keep_order() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_ranks constant text[] := ARRAY['pending', 'failed', 'paid', 'refunded', 'charged_back'];
BEGIN
  IF (NEW.id, NEW.user_id, NEW.provider, NEW.credits, NEW.amount_minor, NEW.currency)
     IS DISTINCT FROM (OLD.id, OLD.user_id, OLD.provider, OLD.credits, OLD.amount_minor, OLD.currency)
     OR array_position(v_ranks, NEW.state) < array_position(v_ranks, OLD.state)
     OR (OLD.payment_id IS NOT NULL AND NEW.payment_id IS DISTINCT FROM OLD.payment_id)
     OR (OLD.allocation_id IS NOT NULL AND NEW.allocation_id IS DISTINCT FROM OLD.allocation_id)
     OR NEW.refunded_minor < OLD.refunded_minor
  THEN
    RAISE EXCEPTION 'order % only moves forward', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER orders_move_forward BEFORE UPDATE ON topup_orders FOR EACH ROW EXECUTE FUNCTION keep_order();
CREATE TRIGGER orders_stay BEFORE DELETE ON topup_orders FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER orders_stay_all BEFORE TRUNCATE ON topup_orders EXECUTE FUNCTION refuse_change();

-- Every genuine event of a provider, once. Of its body only the digest is kept: the rest names people.
CREATE TABLE payment_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text NOT NULL DEFAULT 'default',
  provider text NOT NULL,
  event_id text NOT NULL,
  type text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('paid', 'failed', 'refunded', 'charged_back', 'other')),
  payment_id text,
  -- As the event says; for a refund the sum of all refunds so far.
  amount_minor bigint,
  currency text,
  order_id uuid REFERENCES topup_orders (id),
  -- applied | ignored | waiting (for the payment it takes back) | refused: with what did not fit
  outcome text NOT NULL,
  body_sha256 text NOT NULL,
  received_at timestamptz NOT NULL,
  UNIQUE (provider, event_id)
);
CREATE INDEX payment_events_waiting ON payment_events (provider, payment_id) WHERE outcome = 'waiting';
CREATE TRIGGER payment_events_stay BEFORE UPDATE OR DELETE ON payment_events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER payment_events_stay_all BEFORE TRUNCATE ON payment_events EXECUTE FUNCTION refuse_change();

-- A code that one person turns into a lot. Only its hash is known here.
CREATE TABLE vouchers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text NOT NULL DEFAULT 'default',
  code_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(code_sha256) = 32),
  credits credits NOT NULL CHECK (credits > 0),
  -- Days the lot lives; null: it never lapses.
  expiry_days integer CHECK (expiry_days BETWEEN 1 AND 3650),
  redeemable_until timestamptz NOT NULL,
  models text[],
  upstreams text[],
  workspace_id text,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  redeemed_by text REFERENCES user_accounts (id),
  redeemed_at timestamptz,
  allocation_id bigint REFERENCES credit_allocations (id),
  voided_by text,
  voided_at timestamptz,
  CONSTRAINT voucher_ends_once CHECK (redeemed_at IS NULL OR voided_at IS NULL),
  CONSTRAINT voucher_redeemed_whole CHECK ((redeemed_at IS NULL) = (redeemed_by IS NULL))
);
CREATE TRIGGER vouchers_stay BEFORE DELETE ON vouchers FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER vouchers_stay_all BEFORE TRUNCATE ON vouchers EXECUTE FUNCTION refuse_change();
