-- What the service may call. These run with the rights of the schema's owner, the only one who writes to the books; everything else
-- in this folder is called by them.

ALTER FUNCTION touch_account SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION grant_credits SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION revoke_lot SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION expire_lots SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION adjust_credits SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION open_holds SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION extend_hold SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION renew_holds SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION close_holds SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION deduct_credits SECURITY DEFINER SET search_path = ledger, public, pg_temp;
ALTER FUNCTION roll_up_usage SECURITY DEFINER SET search_path = ledger, public, pg_temp;
