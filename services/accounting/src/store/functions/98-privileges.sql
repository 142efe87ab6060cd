-- What the role that the service connects as may do. The owner of the schema migrates; the service reads everything, calls the
-- entrances, and writes nothing itself but these tables, none of which says what anybody owns. A privilege may name one column.

CREATE VIEW side_tables (name, privileges) AS VALUES
  ('usage_logs', 'INSERT'),
  ('price_rules', 'INSERT'),
  ('reconciliation_runs', 'INSERT'),
  ('limits', 'INSERT, UPDATE'),
  ('key_limits', 'INSERT, UPDATE'),
  ('blocks', 'INSERT, UPDATE, DELETE'),
  ('workspace_members', 'INSERT, UPDATE'),
  ('outbox', 'UPDATE (routed_at), DELETE'),
  ('outbox_deliveries', 'INSERT, UPDATE'),
  ('idempotency_keys', 'INSERT, UPDATE, DELETE'),
  ('rate_limits', 'INSERT, UPDATE, DELETE');

-- Gives a role exactly that, by rule, so that a new table or function needs no line here; called after every migration.
CREATE FUNCTION grant_service(p_role text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_row record;
BEGIN
  IF p_role = current_user THEN
    RETURN;
  END IF;
  REVOKE ALL ON SCHEMA public, ledger FROM PUBLIC;
  REVOKE ALL ON ALL TABLES IN SCHEMA public, ledger FROM PUBLIC;
  REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC;
  REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public, ledger FROM PUBLIC;
  EXECUTE format('REVOKE ALL ON SCHEMA public, ledger FROM %I', p_role);
  EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA public, ledger FROM %I', p_role);
  EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM %I', p_role);
  EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public, ledger FROM %I', p_role);

  EXECUTE format('GRANT USAGE ON SCHEMA public, ledger TO %I', p_role);
  EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA public, ledger TO %I', p_role);
  EXECUTE format('GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO %I', p_role);
  FOR v_row IN SELECT name, privileges FROM ledger.side_tables LOOP
    EXECUTE format('GRANT %s ON public.%I TO %I', v_row.privileges, v_row.name, p_role);
  END LOOP;
  -- The entrances, and what cannot write: views, checks and defaults run such functions with the rights of who asks.
  FOR v_row IN
    SELECT p.oid::regprocedure AS signature FROM pg_proc p
    WHERE p.prorettype <> 'trigger'::regtype
      AND (p.pronamespace = 'public'::regnamespace AND NOT p.prosecdef
        OR p.pronamespace = 'ledger'::regnamespace AND (p.prosecdef OR p.provolatile <> 'v'))
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', v_row.signature, p_role);
  END LOOP;
END $$;

-- What the asking role could do to the books beyond that; a service in production is not ready while there is a row.
CREATE VIEW excessive_privileges AS
  SELECT 'role' AS kind, 'superuser, or may make roles' AS what
    FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolcreaterole)
  UNION ALL
  SELECT 'role', 'member of ' || r.rolname FROM pg_roles r
    WHERE r.rolname IN ('pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program', 'pg_maintain')
      AND pg_has_role(current_user, r.oid, 'MEMBER')
  UNION ALL
  SELECT DISTINCT 'owner', pg_get_userbyid(o.owner)
    FROM (SELECT relowner AS owner FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'ledger'::regnamespace)
          UNION SELECT proowner FROM pg_proc WHERE pronamespace IN ('public'::regnamespace, 'ledger'::regnamespace)
          UNION SELECT nspowner FROM pg_namespace WHERE nspname = 'ledger'
          UNION SELECT datdba FROM pg_database WHERE datname = current_database()) o
    WHERE pg_has_role(current_user, o.owner, 'MEMBER')
  UNION ALL
  SELECT 'schema', n.nspname FROM pg_namespace n
    WHERE n.nspname IN ('public', 'ledger') AND has_schema_privilege(current_user, n.oid, 'CREATE')
  UNION ALL
  SELECT 'table', c.relname || ': ' || w.privilege
    FROM pg_class c CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS w (privilege)
    LEFT JOIN side_tables s ON s.name = c.relname
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND has_table_privilege(current_user, c.oid, w.privilege)
      AND coalesce(w.privilege <> ALL (string_to_array(s.privileges, ', ')), true)
  UNION ALL
  SELECT 'column', c.relname || '.' || a.attname || ': ' || w.privilege
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE']) AS w (privilege)
    LEFT JOIN side_tables s ON s.name = c.relname
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND NOT has_table_privilege(current_user, c.oid, w.privilege)
      AND has_column_privilege(current_user, c.oid, a.attnum, w.privilege)
      AND coalesce(NOT string_to_array(s.privileges, ', ')
        && ARRAY[w.privilege, w.privilege || ' (' || a.attname || ')'], true);
