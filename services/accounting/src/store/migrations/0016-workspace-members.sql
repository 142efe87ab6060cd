-- Who belongs to which workspace: a copy of what auth told last, for what supervisors may see and do. Whoever has left stays as a row
-- without a role, so that an older change which comes late is known as one.
CREATE TABLE workspace_members (
  workspace_id text NOT NULL CHECK (workspace_id ~ '^[0-9a-zA-Z-]{1,64}$'),
  user_id text NOT NULL CHECK (user_id ~ '^[0-9a-f]{24}$'),
  role text CHECK (role IN ('owner', 'admin', 'supervisor', 'enduser')),
  version bigint NOT NULL,
  changed_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX workspace_members_of_user ON workspace_members (user_id);
CREATE INDEX workspace_members_changed ON workspace_members (changed_at);
