import { auth, type UserId } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { EVERY_VERSION, type NewRevocation } from '../../domain/revocation.ts';
import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';

type DeleteDeps = Pick<
  Ports,
  'adminRoster' | 'clock' | 'events' | 'revocations' | 'secondFactors' | 'sessions' | 'users'
>;

/** Deletes one account: it can no longer be used and gives its name and address free; its record stays. */
export const createDeleteUser = (deps: DeleteDeps) =>
  async function deleteUser(caller: UserCaller, userId: UserId, origin: Origin): Promise<User> {
    const { users, events, clock } = deps;
    if (userId === caller.userId) throw new AppError('OWN_ACCOUNT', 'Cannot delete your own account');
    const user = await users.findAny(userId);
    if (!user?.emailKey) throw new AppError('NOT_FOUND', 'User not found');
    if (user.role === 'admin') throw new AppError('FORBIDDEN', 'Cannot delete another admin user');
    const now = new Date(clock.now());
    if ((await users.markDeleted([userId], now)) === 0) throw new AppError('NOT_FOUND', 'User not found');
    await endAccess(deps, [userId], now);
    await events.record({ action: 'account.deleted', actorId: caller.userId, targetId: userId, origin });
    return user;
  };

const BATCH = 500;

/** Deletes every account but the caller's and, when they are preserved, those of administrators. Returns how many. */
export const createDeleteAllUsers = (deps: DeleteDeps) =>
  async function deleteAllUsers(
    caller: UserCaller,
    { confirmDelete, preserveAdmins }: { confirmDelete?: string | undefined; preserveAdmins: boolean },
    origin: Origin,
  ): Promise<number> {
    const { users, events, clock, adminRoster } = deps;
    if (confirmDelete !== auth.DELETE_ALL_USERS) {
      const message = `Send confirmDelete: "${auth.DELETE_ALL_USERS}" to delete all users`;
      throw new AppError('CONFIRMATION_REQUIRED', undefined, { extra: { message } });
    }
    if (!preserveAdmins && !(await adminRoster.strikeOthers(caller.userId))) throw new AppError('FORBIDDEN');
    const kept = { id: caller.userId, admins: preserveAdmins };
    let deleted = 0;
    for (let ids = await users.idsBeside(kept, BATCH); ids.length > 0; ids = await users.idsBeside(kept, BATCH)) {
      const now = new Date(clock.now());
      deleted += await users.markDeleted(ids, now);
      await endAccess(deps, ids, now);
    }
    await events.record({
      action: 'accounts.deleted',
      actorId: caller.userId,
      origin,
      facts: { deleted, preserveAdmins },
    });
    return deleted;
  };

/** The accounts are no more: what is left of them here, when a process dies on the way, nobody can use. */
async function endAccess(
  { sessions, revocations, secondFactors }: DeleteDeps,
  ids: readonly UserId[],
  now: Date,
): Promise<void> {
  await sessions.endAllOf(ids, 'account-deleted', now);
  await revocations.add(ids.map(endOf), now);
  await secondFactors.removeOf(ids);
}

const endOf = (userId: UserId): NewRevocation => ({
  kind: 'user',
  userId,
  minVersion: EVERY_VERSION,
  reason: 'account-deleted',
});
