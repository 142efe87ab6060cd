import { AppError } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { siteOf } from '../../domain/client-address.ts';
import type { PasswordRules } from '../../domain/password-rules.ts';
import { mayLogIn } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';
import { refuseWeakPassword } from './refuse-weak-password.ts';
import { requireUnlocked } from './require-unlocked.ts';

type ResetDeps = Pick<
  Ports,
  | 'clock'
  | 'devices'
  | 'events'
  | 'limits'
  | 'mailQueue'
  | 'mailedCodes'
  | 'passwords'
  | 'revocations'
  | 'secrets'
  | 'sessions'
  | 'users'
> & { rules: PasswordRules };

const failed = () => new AppError('INVALID_CODE', 'Password reset failed');

/**
 * Sets a new password with a mailed token and ends every session. A password that breaks the rules leaves the token usable.
 * The token came by mail, so it also proves the address.
 */
export const createResetPassword = (deps: ResetDeps) =>
  async function resetPassword(token: string, newPassword: string, origin: Origin): Promise<void> {
    const { users, mailedCodes, sessions, mailQueue, clock, revocations } = deps;
    await deps.limits.spend('reset-per-address', siteOf(origin.ip));
    const hashes = deps.secrets.hashes('reset-password', token);
    const code = await mailedCodes.find('reset-password', hashes, new Date(clock.now()));
    const user = code && (await users.find(code.userId));
    if (!user || !mayLogIn(user) || user.emailKey !== code.emailKey) throw failed();
    await requireUnlocked(deps, user);
    await refuseWeakPassword(deps, newPassword, user);

    const passwordHash = await deps.passwords.hash(newPassword);
    const now = new Date(clock.now());
    if (!(await mailedCodes.take('reset-password', code.hash, now))) throw failed();
    const changed = await users.setPassword(user.id, { hash: passwordHash, replaces: user.passwordHash }, now);
    if (!changed) throw failed();
    // After the password: whoever signed up with this address must not be left with a verified account and theirs.
    await users.verify(user.id, code.emailKey, now);
    await sessions.endAllOf([user.id], 'password-reset', now);
    const { id: userId, tokenVersion: minVersion } = changed;
    await revocations.add([{ kind: 'user', userId, minVersion, reason: 'password-reset' }], now);
    await mailedCodes.discard(user.id, ['reset-password', 'verify-email', 'change-email']);
    await mailQueue.add({ kind: 'password-changed', userId: user.id }, now);
    await deps.events.record({ action: 'password.reset', actorId: user.id, targetId: user.id, origin });
  };
