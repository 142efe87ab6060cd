import type { UserId } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';

/** Asks a logged-in user for the password again; wrong guesses are limited, because the session may be stolen. */
export async function proveOwnPassword(
  { users, passwords, limits }: Pick<Ports, 'users' | 'passwords' | 'limits'>,
  userId: UserId,
  password: string,
): Promise<User> {
  const user = await limits.guess('password-per-user', userId, async () => {
    const account = await users.find(userId);
    const { matches } = await passwords.check(password, account?.passwordHash);
    return matches ? account : undefined;
  });
  if (!user) throw new AppError('WRONG_PASSWORD');
  return user;
}
