#!/bin/bash
# Run by the postgres image on its first start: the database of accounting and its two roles. The one that
# secrets/accounting_database_owner_url names owns the database and migrates it. The one of secrets/accounting_database_url serves
# requests and owns nothing; migrations give it what it needs. Nobody else may connect.
set -euo pipefail

# parts <file>: ROLE, PASSWORD and DATABASE of the address in it.
parts() {
  local address
  address=$(<"/run/secrets/$1")
  [[ $address =~ ^postgres(ql)?://([a-z_]+):([A-Za-z0-9_-]+)@[^/]+/([a-z_]+)$ ]] || {
    echo "$1 must be postgres://role:password@host/database, the password of letters, digits, - and _" >&2
    exit 1
  }
  ROLE=${BASH_REMATCH[2]} PASSWORD=${BASH_REMATCH[3]} DATABASE=${BASH_REMATCH[4]}
}

parts accounting_database_owner_url
export OWNER=$ROLE OWNER_PASSWORD=$PASSWORD OWNER_DATABASE=$DATABASE
parts accounting_database_url
export ROLE PASSWORD DATABASE
[[ $DATABASE = "$OWNER_DATABASE" && $ROLE != "$OWNER" ]] || {
  echo 'the two addresses of accounting must name one database and two roles' >&2
  exit 1
}

psql --set=ON_ERROR_STOP=1 --no-psqlrc --username="$POSTGRES_USER" --dbname=postgres <<'SQL'
\getenv owner OWNER
\getenv owner_password OWNER_PASSWORD
\getenv role ROLE
\getenv password PASSWORD
\getenv database DATABASE
CREATE ROLE :"owner" LOGIN PASSWORD :'owner_password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
CREATE ROLE :"role" LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
CREATE DATABASE :"database" OWNER :"owner" TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8';
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO :"role";
SQL
