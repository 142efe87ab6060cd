-- A connection that planned these checks while the tables were small would go on reading all of a table that has grown since, for
-- every row that it checks, until statistics come: a thousandfold of what the index costs.
ALTER FUNCTION require_balance SET enable_seqscan = off;
ALTER FUNCTION require_balanced_transaction SET enable_seqscan = off;
ALTER FUNCTION require_balanced_entries SET enable_seqscan = off;

-- What a hold took of a lot is written once more when it is settled: room for that on the same page, without its index.
ALTER TABLE hold_lots SET (fillfactor = 70);
