import { auth, Email, RoleInput } from '@tollgate/contracts';
import { z } from 'zod';
import { readAuthConfig } from './config.ts';
import { createDeps } from './deps.ts';

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
