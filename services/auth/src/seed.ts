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

interface OpenedAccount {
  readonly id: string;
  readonly isNew: boolean;
  readonly username: string;
  readonly email: string;
  readonly role: string;
}

/**
 * Opens the accounts of an installation, the first administrator among them; those that exist keep their passwords.
 * @throws ZodError for anything but `[{ "username", "email", "password", "role" }]`, ConfigError, and the database's errors.
 */
export async function openAccounts(
  given: unknown,
  environment?: Parameters<typeof readAuthConfig>[0],
): Promise<OpenedAccount[]> {
  const wanted = WantedUsers.parse(given);
  const deps = await createDeps({ ...readAuthConfig(environment), logLevel: 'error' });
  try {
    await deps.connected;
    const opened: OpenedAccount[] = [];
    for (const user of wanted) {
      const { userId, isNew } = await deps.flows.ensureUser(user);
      opened.push({ id: userId, isNew, username: user.username, email: user.email, role: user.role });
    }
    return opened;
  } finally {
    await deps.close();
  }
}

async function main(path: string | undefined): Promise<void> {
  if (path === undefined) throw new Error('usage: seed.ts <users.json>, or - for standard input');
  const wanted: unknown = JSON.parse(path === '-' ? await text(process.stdin) : await readFile(path, 'utf8'));
  process.stdout.write(`${JSON.stringify(await openAccounts(wanted))}\n`);
}

// The tests import it.
if (import.meta.main) await main(process.argv[2]);
