-- The part of the installation that a supervisor may see and act in.

-- Whether an account belongs to a workspace: every person to the default one, members to the others, a pool to its own.
CREATE FUNCTION is_within(p_account text, p_workspace text, p_is_default boolean) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF p_account LIKE 'ws\_%' THEN
    RETURN p_account = 'ws_' || p_workspace;
  END IF;
  RETURN p_is_default OR EXISTS (
    SELECT FROM workspace_members WHERE workspace_id = p_workspace AND user_id = p_account AND role IS NOT NULL);
END $$;

-- Whether something that was done in a workspace belongs to this one; what names none was done in the default one.
CREATE FUNCTION was_within(p_done_in text, p_workspace text, p_is_default boolean) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN p_done_in = p_workspace OR (p_is_default AND coalesce(p_done_in, '') = '');
END $$;
