#!/bin/sh
# Starts mongod as a replica set that knows its members by a key. Secrets belong to somebody else and are closed to the user
# mongod runs as, who also refuses a key file that others can read; hence copies in memory that are its own.
set -eu
for name in mongo_keyfile mongo_root_password; do
  install --owner=mongodb --group=mongodb --mode=0400 "/run/secrets/$name" "/tmp/$name"
done
export MONGO_INITDB_ROOT_PASSWORD_FILE=/tmp/mongo_root_password
exec docker-entrypoint.sh mongod --replSet rs0 --keyFile /tmp/mongo_keyfile --bind_ip_all
