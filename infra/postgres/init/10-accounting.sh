#!/bin/bash
# Run by the postgres image on its first start: the role and the database that secrets/accounting_database_url names.
# The role owns its database, is no superuser, and is the only one that may connect to it.
set -euo pipefail

address=$(</run/secrets/accounting_database_url)
[[ $address =~ ^postgres(ql)?://([a-z_]+):([A-Za-z0-9_-]+)@[^/]+/([a-z_]+)$ ]] || {
  echo 'accounting_database_url must be postgres://role:password@host/database, the password of letters, digits, - and _' >&2
  exit 1
}
export ROLE=${BASH_REMATCH[2]} PASSWORD=${BASH_REMATCH[3]} DATABASE=${BASH_REMATCH[4]}

psql --set=ON_ERROR_STOP=1 --no-psqlrc --username="$POSTGRES_USER" --dbname=postgres <<'SQL'
\getenv role ROLE
\getenv password PASSWORD
\getenv database DATABASE
CREATE ROLE :"role" LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
CREATE DATABASE :"database" OWNER :"role" TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8';
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
