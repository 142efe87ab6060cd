import type { UserId } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';
import { requireUnlocked } from './require-unlocked.ts';

/** Asks a logged-in user for the password again; wrong guesses are limited, because the session may be stolen. */
export async function proveOwnPassword(
  deps: Pick<Ports, 'clock' | 'devices' | 'limits' | 'passwords' | 'users'>,
  userId: UserId,
  password: string,
): Promise<User> {
  const { users, passwords, limits } = deps;
  const account = await users.find(userId);
  if (account) await requireUnlocked(deps, account);
  const user = await limits.guess('password-per-user', userId, async () => {
    const { matches } = await passwords.check(password, account?.passwordHash);
    return matches ? account : undefined;
  });
  if (!user) throw new AppError('WRONG_PASSWORD');
  return user;
}
