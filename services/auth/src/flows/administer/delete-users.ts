import { auth, type UserId } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { EVERY_VERSION, type NewRevocation } from '../../domain/revocation.ts';
import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';

type DeleteDeps = Pick<Ports, 'adminRoster' | 'clock' | 'events' | 'revocations' | 'sessions' | 'users'>;

/** Deletes one account: it can no longer be used and gives its name and address free; its record stays. */
export const createDeleteUser = ({ users, sessions, events, clock, revocations }: DeleteDeps) =>
  async function deleteUser(caller: UserCaller, userId: UserId, origin: Origin): Promise<User> {
    if (userId === caller.userId) throw new AppError('OWN_ACCOUNT', 'Cannot delete your own account');
    const user = await users.findAny(userId);
    if (!user?.emailKey) throw new AppError('NOT_FOUND', 'User not found');
    if (user.role === 'admin') throw new AppError('FORBIDDEN', 'Cannot delete another admin user');
    const now = new Date(clock.now());
    if ((await users.markDeleted([userId], now)) === 0) throw new AppError('NOT_FOUND', 'User not found');
    await sessions.endAllOf([userId], 'account-deleted', now);
    await revocations.add([endOf(userId)], now);
    await events.record({ action: 'account.deleted', actorId: caller.userId, targetId: userId, origin });
    return user;
  };

const BATCH = 500;

/** Deletes every account but the caller's and, when they are preserved, those of administrators. Returns how many. */
export const createDeleteAllUsers = ({ users, sessions, events, clock, adminRoster, revocations }: DeleteDeps) =>
  async function deleteAllUsers(
    caller: UserCaller,
    { confirmDelete, preserveAdmins }: { confirmDelete?: string | undefined; preserveAdmins: boolean },
    origin: Origin,
  ): Promise<number> {
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
      await sessions.endAllOf(ids, 'account-deleted', now);
      await revocations.add(ids.map(endOf), now);
    }
    await events.record({
      action: 'accounts.deleted',
      actorId: caller.userId,
      origin,
      facts: { deleted, preserveAdmins },
    });
    return deleted;
  };

const endOf = (userId: UserId): NewRevocation => ({
  kind: 'user',
  userId,
  minVersion: EVERY_VERSION,
  reason: 'account-deleted',
});
