// Run by mongosh (docker-compose.yml, mongo-init): makes the replica set of one node, and one user for each service, who
// may use the service's own database and nothing else. Safe to run again; a changed password is taken over.
const { readFileSync } = require('node:fs');

const MEMBER = 'mongo:27017';
const LONGEST_WAIT_MS = 60_000;
const NOT_YET_INITIALIZED = 94;
const secret = (name) => readFileSync(`/run/secrets/${name}`, 'utf8').trim();

const password = encodeURIComponent(secret('mongo_root_password'));
const server = new Mongo(`mongodb://root:${password}@${MEMBER}/admin?directConnection=true`);
const admin = server.getDB('admin');

try {
  admin.runCommand({ replSetGetStatus: 1 });
} catch (error) {
  if (error.code !== NOT_YET_INITIALIZED) throw error;
  admin.runCommand({ replSetInitiate: { _id: 'rs0', members: [{ _id: 0, host: MEMBER }] } });
}

const deadline = Date.now() + LONGEST_WAIT_MS;
while (!admin.runCommand({ hello: 1 }).isWritablePrimary) {
  if (Date.now() > deadline) throw new Error('The replica set has no primary');
  sleep(250);
}

// What the audit log and its anchors are written with: added and read, by nobody changed or removed (docs/adr/0018). A role for
// the whole database would allow everything in them, so auth is given each of its collections by name.
const AUTH_COLLECTIONS = [
  'users',
  'sessions',
  'mailed_codes',
  'mail_queue',
  'challenges',
  'second_factors',
  'api_keys',
  'rosters',
  'rate_limits',
  'alerts',
  'revocations',
  'workspaces',
  'memberships',
  'invitations',
  'migrations',
  'migration_lock',
];
const APPEND_ONLY = ['audit_log', 'audit_anchors'];
const SCHEMA = ['createCollection', 'createIndex', 'listIndexes', 'collStats'];

function authRole(own, database) {
  const privilege = (collection, actions) => ({ resource: { db: database, collection }, actions });
  const role = {
    privileges: [
      ...AUTH_COLLECTIONS.map((name) => privilege(name, ['find', 'insert', 'update', 'remove', ...SCHEMA])),
      ...APPEND_ONLY.map((name) => privilege(name, ['find', 'insert', ...SCHEMA])),
      privilege('', ['listCollections']),
    ],
    roles: [],
  };
  const { roles } = own.runCommand({ rolesInfo: 'tollgate_auth_service' });
  own.runCommand(
    roles.length > 0
      ? { updateRole: 'tollgate_auth_service', ...role }
      : { createRole: 'tollgate_auth_service', ...role },
  );
  return [{ role: 'tollgate_auth_service', db: database }];
}

for (const name of ['auth_mongodb_uri', 'chat_mongodb_uri']) {
  const address = new URL(secret(name));
  const database = address.pathname.slice(1);
  const user = decodeURIComponent(address.username);
  const own = server.getDB(database);
  const roles = name === 'auth_mongodb_uri' ? authRole(own, database) : [{ role: 'readWrite', db: database }];
  const account = { pwd: decodeURIComponent(address.password), roles };
  const { users } = own.runCommand({ usersInfo: user });
  own.runCommand(users.length > 0 ? { updateUser: user, ...account } : { createUser: user, ...account });
  print(`${user} may use ${database}`);
}
