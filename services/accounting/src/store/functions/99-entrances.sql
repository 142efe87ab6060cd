-- What the service may call. These run with the rights of the schema's owner, the only one who writes to the books; everything else
-- in this folder is called by them.

ALTER FUNCTION touch_account SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION open_account SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION grant_credits SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION revoke_lot SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION expire_lots SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION adjust_credits SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION open_holds SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION extend_hold SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION renew_holds SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION close_holds SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION deduct_credits SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION set_billing SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION forget_counters SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION emit_event SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION rearm_alerts SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION change_tenant SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION append_head SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION refund_credits SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION create_topup SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION receive_payment SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION create_vouchers SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION redeem_voucher SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION void_voucher SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION set_price_group SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION roll_up_usage SECURITY DEFINER SET search_path = ledger, public, pg_temp;

-- Every statement of a batch looks up a few rows in tables that grow. A connection plans it once, maybe while the tables are small, and
-- must not settle on reading one of them whole.
ALTER FUNCTION open_holds
  SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;
ALTER FUNCTION close_holds
  SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;
