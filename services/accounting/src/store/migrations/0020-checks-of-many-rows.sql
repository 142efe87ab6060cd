-- The rules of the ledger stay, and cost less where many rows are written together: a trigger that looks at a whole statement takes the
-- place of one call for each entry.

-- Balance of a transaction at its commit: one statement, without a call within the call.
CREATE OR REPLACE FUNCTION require_balanced_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_sum numeric;
  v_count bigint;
BEGIN
  SELECT coalesce(sum(amount), 0), count(*) INTO v_sum, v_count FROM credit_entries WHERE transaction_id = NEW.id;
  IF v_sum <> 0 OR v_count < 2 THEN
    RAISE EXCEPTION 'ledger transaction % is not balanced: % entries with the sum %', NEW.id, v_count, v_sum
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;

-- Entries of a transaction that is written by the same database transaction are judged at its commit, by the trigger of its own. Those
-- that come later are judged at once, and belong to something: this is the foreign key of the entries, too, since no ledger
-- transaction ever goes or changes its id.
CREATE FUNCTION require_balanced_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_entry record;
BEGIN
  FOR v_entry IN
    SELECT * FROM (
      SELECT e.transaction_id, (SELECT t.xmin FROM credit_transactions t WHERE t.id = e.transaction_id) AS written_by FROM new_entries e) w
    WHERE w.written_by IS DISTINCT FROM pg_current_xact_id()::xid
  LOOP
    IF v_entry.written_by IS NULL THEN
      RAISE EXCEPTION 'there is no ledger transaction %', v_entry.transaction_id USING ERRCODE = 'foreign_key_violation';
    END IF;
    PERFORM require_balance(v_entry.transaction_id);
  END LOOP;
  RETURN NULL;
END $$;

DROP TRIGGER entries_balance ON credit_entries;
CREATE TRIGGER entries_balance AFTER INSERT ON credit_entries
  REFERENCING NEW TABLE AS new_entries FOR EACH STATEMENT EXECUTE FUNCTION require_balanced_entries();
DROP FUNCTION require_balanced_entry;
ALTER TABLE credit_entries DROP CONSTRAINT credit_entries_transaction_id_fkey;
