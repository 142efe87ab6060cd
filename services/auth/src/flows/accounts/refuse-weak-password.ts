import { AppError } from '@tollgate/http-kit';
import { faultOfPassword, type PasswordRules } from '../../domain/password-rules.ts';
import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';

/** Judges a new password of an account that has one. The hashes come last: they take the longest. */
export async function refuseWeakPassword(
  { passwords, rules }: Pick<Ports, 'passwords'> & { rules: PasswordRules },
  password: string,
  user: User,
): Promise<void> {
  const fault = faultOfPassword(password, user, rules);
  if (fault) throw new AppError('WEAK_PASSWORD', fault);
  if (await passwords.matchesAny(password, [user.passwordHash, ...(user.passwordHistory ?? [])]))
    throw new AppError('WEAK_PASSWORD', 'The new password must differ from the ones you had last');
}
