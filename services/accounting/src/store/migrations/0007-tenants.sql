-- What an installation decides for everybody in it. Today there is one tenant; every table already names it.

CREATE TABLE tenants (
  id text PRIMARY KEY,
  -- Days, weeks and months of budgets begin at midnight of this zone (IANA name).
  time_zone text NOT NULL DEFAULT 'UTC' CHECK (now() AT TIME ZONE time_zone IS NOT NULL)
);
INSERT INTO tenants (id) VALUES ('default');
