-- How often a hold was extended. An extension that costs nothing more moves nothing, so the ledger does not tell of it; what the hold
-- reserves may then be more than what its units cost now.
ALTER TABLE streaming_sessions ADD COLUMN extensions integer NOT NULL DEFAULT 0 CHECK (extensions >= 0);
