#!/bin/sh
# Writes ./secrets for docker-compose.yml. What exists is kept: run it again after adding something.
#
#   SMTP_URL=smtps://user:password@mail.example.test:465 FLOWISE_API_KEY=… ./infra/docker/make-secrets.sh
#
# SMTP_URL is needed. FLOWISE_API_KEY and OPENAI_API_KEY go to secrets/optional when they are given.
set -eu
cd "$(dirname "$0")/../.."

# Containers read the files under user ids of their own, so the files are readable and the folder is not.
umask 022
mkdir -p secrets/optional
chmod 700 secrets

random_hex() { od -An -tx1 -N"$1" /dev/urandom | tr -d ' \n'; }

# keep <name> <value>: never overwrites, because a new key locks everybody out.
keep() {
  if [ -s "secrets/$1" ]; then
    echo "kept     secrets/$1"
  else
    printf '%s' "$2" >"secrets/$1"
    echo "written  secrets/$1"
  fi
}

for key in jwt_access_secret jwt_refresh_secret jwt_service_secret password_pepper token_hash_secret mfa_encryption_keys ledger_signing_secret audit_chain_secret audit_anchor_secret mongo_root_password postgres_password; do
  keep "$key" "$(random_hex 48)"
done
keep mongo_keyfile "$(random_hex 256)"

keep auth_mongodb_uri "mongodb://tollgate_auth:$(random_hex 24)@mongo:27017/tollgate_auth?replicaSet=rs0&authSource=tollgate_auth"
keep chat_mongodb_uri "mongodb://tollgate_chat:$(random_hex 24)@mongo:27017/tollgate_chat?replicaSet=rs0&authSource=tollgate_chat"
keep accounting_database_owner_url "postgres://tollgate_accounting_owner:$(random_hex 24)@postgres:5432/tollgate_accounting"
keep accounting_database_url "postgres://tollgate_accounting:$(random_hex 24)@postgres:5432/tollgate_accounting"

for server in flowise openai; do
  eval "key=\${$(echo $server | tr '[:lower:]' '[:upper:]')_API_KEY:-}"
  if [ -n "$key" ]; then
    keep "optional/${server}_api_key" "$key"
    echo "         for .env: $(echo $server | tr '[:lower:]' '[:upper:]')_API_KEY_FILE=/run/optional/${server}_api_key"
  fi
done

if [ -z "${SMTP_URL:-}" ] && [ ! -s secrets/smtp_url ]; then
  echo 'MISSING  secrets/smtp_url: give the mail server as SMTP_URL=smtps://user:password@host:465' >&2
  exit 1
fi
keep smtp_url "${SMTP_URL:-}"
