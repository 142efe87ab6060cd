-- A connection that planned these checks while the tables were small would go on reading all of a table that has grown since, for
-- every row that it checks, until statistics come: a thousandfold of what the index costs.
ALTER FUNCTION require_balance SET enable_seqscan = off;
ALTER FUNCTION require_balanced_transaction SET enable_seqscan = off;
ALTER FUNCTION require_balanced_entries SET enable_seqscan = off;
