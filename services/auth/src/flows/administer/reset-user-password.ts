import type { UserId } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import type { PasswordRules } from '../../domain/password-rules.ts';
import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';
import { refuseWeakPassword } from '../accounts/refuse-weak-password.ts';

type ResetDeps = Pick<
  Ports,
  'clock' | 'events' | 'mailQueue' | 'mailedCodes' | 'passwords' | 'revocations' | 'secrets' | 'sessions' | 'users'
> & { rules: PasswordRules };

/** `link`: only the user will know the next password. `chosen` stays for older clients. */
type Way = Readonly<{ how: 'link' } | { how: 'generated' } | { how: 'chosen'; password: string }>;

/**
 * Ends the password and the sessions of another user, who goes on with a mailed link or with a password that the caller is
 * shown once or has chosen.
 */
export const createResetUserPassword = (deps: ResetDeps) =>
  async function resetUserPassword(
    caller: UserCaller,
    userId: UserId,
    way: Way,
    origin: Origin,
  ): Promise<{ user: User; generatedPassword?: string }> {
    const { users, sessions, secrets, clock, revocations } = deps;
    const user = await users.findAny(userId);
    if (!user?.emailKey) throw new AppError('NOT_FOUND', 'User not found');
    if (userId === caller.userId) throw new AppError('OWN_ACCOUNT', 'Change your own password with the current one');
    if (user.role === 'admin') throw new AppError('FORBIDDEN', 'Cannot reset the password of another admin user');
    if (way.how === 'chosen') await refuseWeakPassword(deps, way.password, user);

    // Nobody learns the one that stands in for the old until a link was followed.
    const password = way.how === 'chosen' ? way.password : secrets.password();
    const passwordHash = await deps.passwords.hash(password);
    const now = new Date(clock.now());
    const changed = await users.setPassword(userId, { hash: passwordHash, replaces: user.passwordHash }, now);
    if (!changed) throw new AppError('NOT_FOUND', 'User not found');
    await sessions.endAllOf([userId], 'password-reset', now);
    await revocations.add([{ kind: 'user', userId, minVersion: changed.tokenVersion, reason: 'password-reset' }], now);
    await deps.mailedCodes.discard(userId, ['reset-password', 'change-email']);
    const mail = way.how === 'link' ? orderLink(user) : ({ kind: 'password-changed', userId } as const);
    await deps.mailQueue.add(mail, now);
    const facts = { how: way.how };
    await deps.events.record({
      action: 'password.set-by-admin',
      actorId: caller.userId,
      targetId: userId,
      origin,
      facts,
    });
    return { user, ...(way.how === 'generated' && { generatedPassword: password }) };
  };

const orderLink = ({ email }: User) => ({ kind: 'password-reset', email }) as const;
