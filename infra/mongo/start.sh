#!/bin/sh
# Starts mongod as a replica set that knows its members by a key. mongod refuses a key file that others can read, and the
# mounted secret keeps the permissions it has on the host; hence the copy.
set -eu
install --owner=mongodb --group=mongodb --mode=0400 /run/secrets/mongo_keyfile /tmp/keyfile
exec docker-entrypoint.sh mongod --replSet rs0 --keyFile /tmp/keyfile --bind_ip_all
