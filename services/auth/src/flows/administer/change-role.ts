import type { Role, UserId } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';

type ChangeRoleDeps = Pick<Ports, 'adminRoster' | 'clock' | 'events' | 'revocations' | 'sessions' | 'users'>;

/** Gives another user a role. Their sessions end, so that no token speaks for the old one. */
export const createChangeRole = (deps: ChangeRoleDeps) =>
  async function changeRole(caller: UserCaller, userId: UserId, role: Role, origin: Origin): Promise<User> {
    const { users, sessions, events, clock, revocations } = deps;
    if (userId === caller.userId) throw new AppError('OWN_ACCOUNT', 'You cannot change your own role');
    const before = await users.findAny(userId);
    if (!before?.emailKey) throw new AppError('NOT_FOUND', 'User not found');
    if (before.role === role) return before;
    await updateRoster(deps, caller, before, role);
    const now = new Date(clock.now());
    const user = await users.setRole(userId, role, now);
    if (!user) throw new AppError('NOT_FOUND', 'User not found');
    await sessions.endAllOf([userId], 'role-changed', now);
    await revocations.add([{ kind: 'user', userId, minVersion: user.tokenVersion, reason: 'role-changed' }], now);
    const facts = { from: before.role, to: role };
    await events.record({ action: 'account.role-changed', actorId: caller.userId, targetId: userId, origin, facts });
    return user;
  };

/** On the roster before the promotion and off it before the demotion: a crash in between leaves too few on it, never too many. */
async function updateRoster(
  { adminRoster }: ChangeRoleDeps,
  caller: UserCaller,
  user: User,
  role: Role,
): Promise<void> {
  if (role === 'admin') return adminRoster.add(user.id);
  if (user.role === 'admin' && !(await adminRoster.strike(user.id, caller.userId))) throw new AppError('LAST_ADMIN');
}
