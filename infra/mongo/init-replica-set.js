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

for (const name of ['auth_mongodb_uri', 'chat_mongodb_uri']) {
  const address = new URL(secret(name));
  const database = address.pathname.slice(1);
  const user = decodeURIComponent(address.username);
  const own = server.getDB(database);
  const account = { pwd: decodeURIComponent(address.password), roles: [{ role: 'readWrite', db: database }] };
  const { users } = own.runCommand({ usersInfo: user });
  own.runCommand(users.length > 0 ? { updateUser: user, ...account } : { createUser: user, ...account });
  print(`${user} may use ${database}`);
}
