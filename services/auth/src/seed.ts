import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { auth, Email, RoleInput } from '@tollgate/contracts';
import { z } from 'zod';
import { readAuthConfig } from './config.ts';
import { createDeps } from './deps.ts';

/*
 * node --conditions=tollgate services/auth/src/seed.ts users.json
 * docker compose exec -T auth node dist/seed.js - <users.json
 * Opens the accounts of an installation, the first administrator among them, and prints them with their ids as JSON.
 * The file: [{ "username", "email", "password", "role" }]. Existing accounts keep their passwords.
 */

const WantedUsers = z
  .array(z.strictObject({ username: auth.NewUsername, email: Email, password: auth.Password, role: RoleInput }))
  .max(1000);

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: seed.ts <users.json>, or - for standard input');
const wanted = WantedUsers.parse(JSON.parse(path === '-' ? await text(process.stdin) : await readFile(path, 'utf8')));
const deps = await createDeps({ ...readAuthConfig(), logLevel: 'error' });
try {
  await deps.connected;
  const seeded = [];
  for (const user of wanted) {
    const { userId, isNew } = await deps.flows.ensureUser(user);
    seeded.push({ id: userId, isNew, username: user.username, email: user.email, role: user.role });
  }
  process.stdout.write(`${JSON.stringify(seeded)}\n`);
} finally {
  await deps.close();
}
