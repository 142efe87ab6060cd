import type { UserId } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { STATUS_CHANGES, type StatusChange } from '../../domain/account-status.ts';
import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';

type StatusDeps = Pick<Ports, 'adminRoster' | 'clock' | 'events' | 'revocations' | 'sessions' | 'users'>;

/** An account that others change at the same moment is looked at again so often. */
const MOST_TRIES = 3;

/**
 * Locks, unlocks, disables or enables the account of somebody else. Refreshes and logins are refused from the moment of the
 * change, which is one step together with the end of every session. What is so already stays so, and its sessions stay ended.
 */
export const createChangeStatus = (deps: StatusDeps) =>
  async function changeStatus(
    caller: UserCaller,
    userId: UserId,
    name: keyof typeof STATUS_CHANGES,
    origin: Origin,
  ): Promise<User> {
    if (userId === caller.userId) throw new AppError('OWN_ACCOUNT', `You cannot ${name} your own account`);
    const change = STATUS_CHANGES[name];
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const before = await deps.users.findAny(userId);
      if (!before?.emailKey) throw new AppError('NOT_FOUND', 'User not found');
      if (before.status === change.to) {
        await endAccess(deps, before, change);
        return before;
      }
      if (!change.from.includes(before.status)) throw new AppError('CONFLICT', `The account is ${before.status}`);
      const user = await apply(deps, caller, before, change);
      if (!user) continue;
      await deps.events.record({ action: change.action, actorId: caller.userId, targetId: userId, origin });
      return user;
    }
    throw new AppError('CONFLICT', 'The account is being changed by somebody else');
  };

async function apply(
  deps: StatusDeps,
  caller: UserCaller,
  before: User,
  change: StatusChange,
): Promise<User | undefined> {
  const { users, adminRoster, clock } = deps;
  const { from, to } = change;
  const isAdmin = before.role === 'admin';
  // Off the roster before, so that administrators who lock each other leave one. On it again before as well: until the
  // account is active, nobody acts in its name.
  if (isAdmin && to === 'active') await adminRoster.add(before.id);
  if (isAdmin && to !== 'active' && !(await adminRoster.strike(before.id, caller.userId))) {
    throw new AppError('LAST_ADMIN');
  }
  const user = await users.setStatus(before.id, { from, to, role: before.role }, new Date(clock.now()));
  if (user) await endAccess(deps, user, change);
  return user;
}

async function endAccess(
  { sessions, revocations, clock }: StatusDeps,
  { id: userId, tokenVersion: minVersion }: User,
  { reason }: StatusChange,
): Promise<void> {
  if (reason === undefined) return;
  const now = new Date(clock.now());
  await sessions.endAllOf([userId], reason, now);
  await revocations.add([{ kind: 'user', userId, minVersion, reason }], now);
}
