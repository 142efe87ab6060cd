-- Counts of rate-limiter-flexible. Losing them in a crash only opens a window early, so they need no write-ahead log.
CREATE UNLOGGED TABLE rate_limits (
  key varchar(255) PRIMARY KEY,
  points integer NOT NULL DEFAULT 0,
  expire bigint
);
