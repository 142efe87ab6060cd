-- What a hold and its settlement write is checked once, where it is written. A foreign key looks up, and locks, one row for each row.

-- Only the functions of the ledger write to these tables, and they have locked, or read, what they refer to. What is referred to never
-- goes (0001, 0003) and keeps its name from now on, so that nothing can come to hang in the air later; verify_references looks for it.
ALTER TABLE streaming_sessions DROP CONSTRAINT streaming_sessions_user_id_fkey, DROP CONSTRAINT streaming_sessions_payer_id_fkey;
ALTER TABLE hold_lots DROP CONSTRAINT hold_lots_hold_id_fkey, DROP CONSTRAINT hold_lots_allocation_id_fkey;
ALTER TABLE credit_transactions DROP CONSTRAINT credit_transactions_user_id_fkey;

CREATE TRIGGER accounts_keep_names BEFORE UPDATE OF id ON user_accounts FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER lots_keep_names BEFORE UPDATE OF id ON credit_allocations FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER holds_keep_names BEFORE UPDATE OF id ON streaming_sessions FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Nothing looks for the open holds of a payer.
DROP INDEX streaming_sessions_paid;
