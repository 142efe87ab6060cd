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

/** Sets another user's password, a generated one when none is given, and ends that user's sessions. */
export const createResetUserPassword = (deps: ResetDeps) =>
  async function resetUserPassword(
    caller: UserCaller,
    userId: UserId,
    chosen: string | undefined,
    origin: Origin,
  ): Promise<{ user: User; generatedPassword?: string }> {
    const { users, sessions, secrets, clock, revocations } = deps;
    const user = await users.findAny(userId);
    if (!user?.emailKey) throw new AppError('NOT_FOUND', 'User not found');
    if (userId === caller.userId) throw new AppError('OWN_ACCOUNT', 'Change your own password with the current one');
    if (user.role === 'admin') throw new AppError('FORBIDDEN', 'Cannot reset the password of another admin user');
    if (chosen !== undefined) await refuseWeakPassword(deps, chosen, user);

    const password = chosen ?? secrets.password();
    const passwordHash = await deps.passwords.hash(password);
    const now = new Date(clock.now());
    const changed = await users.setPassword(userId, { hash: passwordHash, replaces: user.passwordHash }, now);
    if (!changed) throw new AppError('NOT_FOUND', 'User not found');
    await sessions.endAllOf([userId], 'password-reset', now);
    await revocations.add([{ kind: 'user', userId, minVersion: changed.tokenVersion, reason: 'password-reset' }], now);
    await deps.mailedCodes.discard(userId, ['reset-password']);
    await deps.mailQueue.add({ kind: 'password-changed', userId }, now);
    await deps.events.record({ action: 'password.set-by-admin', actorId: caller.userId, targetId: userId, origin });
    return { user, ...(chosen === undefined && { generatedPassword: password }) };
  };
