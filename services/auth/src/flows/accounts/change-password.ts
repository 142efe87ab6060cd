import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import type { PasswordRules } from '../../domain/password-rules.ts';
import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';
import { proveOwnPassword } from './prove-own-password.ts';
import { refuseWeakPassword } from './refuse-weak-password.ts';

type ChangeDeps = Pick<
  Ports,
  | 'clock'
  | 'devices'
  | 'events'
  | 'limits'
  | 'mailQueue'
  | 'mailedCodes'
  | 'passwords'
  | 'revocations'
  | 'sessions'
  | 'users'
> & { rules: PasswordRules };
type Change = { currentPassword: string; newPassword: string };

/** Changes the own password. The session that did it goes on; every other one, and every reset link, ends. */
export const createChangePassword = (deps: ChangeDeps) =>
  async function changePassword(
    caller: UserCaller,
    { currentPassword, newPassword }: Change,
    origin: Origin,
  ): Promise<void> {
    const { users, passwords, mailedCodes, clock } = deps;
    const user = await proveOwnPassword(deps, caller.userId, currentPassword);
    await refuseWeakPassword(deps, newPassword, user);

    const passwordHash = await passwords.hash(newPassword);
    const now = new Date(clock.now());
    const { passwordHash: replaces, tokenVersion: version } = user;
    const changed = await users.setPassword(user.id, { hash: passwordHash, replaces, version }, now);
    // Another password has come in between: what was proven is worth nothing any more.
    if (!changed) throw new AppError('INVALID_TOKEN');
    await endOtherSessions(deps, changed, caller.sessionId, now);
    await mailedCodes.discard(user.id, ['reset-password', 'change-email']);
    await deps.mailQueue.add({ kind: 'password-changed', userId: user.id }, now);
    await deps.events.record({ action: 'password.changed', actorId: user.id, targetId: user.id, origin });
  };

/** The tokens of the session that goes on, if there is one, go on as well. */
async function endOtherSessions(
  { sessions, revocations }: Pick<ChangeDeps, 'sessions' | 'revocations'>,
  { id: userId, tokenVersion }: User,
  keptId: string | undefined,
  now: Date,
): Promise<void> {
  const reason = 'password-changed';
  if (keptId === undefined) await sessions.endAllOf([userId], reason, now);
  else await sessions.endOthersOf(userId, { id: keptId, tokenVersion }, { reason, now });
  const except = keptId === undefined ? {} : { exceptSessionId: keptId };
  await revocations.add([{ kind: 'user', userId, minVersion: tokenVersion, ...except, reason }], now);
}
