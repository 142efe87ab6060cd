import { UserId } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import { keyOf, type User } from '../../domain/user.ts';
import type { Ports, UserFilter } from '../../ports.ts';

type ReadDeps = Pick<Ports, 'users'>;

type Search = Pick<UserFilter, 'role' | 'status'> & { q?: string | undefined };

const isDecoy = (user: User): boolean => user.emailKey === undefined;

/** A user by id. Accounts that nobody verified exist for administrators only: they would tell which addresses are known. */
export const createLookUpUser = ({ users }: ReadDeps) =>
  async function lookUpUser(caller: UserCaller, userId: UserId): Promise<User> {
    const user = await users.findAny(userId);
    const isShown = user && (user.isVerified || (caller.role === 'admin' && !isDecoy(user)));
    if (!isShown) throw new AppError('NOT_FOUND', 'User not found');
    return user;
  };

export const createReadUserByEmail = ({ users }: ReadDeps) =>
  async function readUserByEmail(email: string): Promise<User> {
    const user = await users.findByEmail(keyOf(email));
    if (!user) throw new AppError('NOT_FOUND', 'User not found');
    return user;
  };

/** One page of accounts and the cursor of the next; the cursor is the last id, so it opens nothing that ids do not. */
export const createListUsers = ({ users }: ReadDeps) =>
  async function listUsers(
    { q, role, status }: Search,
    { limit, cursor }: { limit: number; cursor?: string | undefined },
  ): Promise<{ users: User[]; nextCursor: string | null }> {
    const after = cursor === undefined ? undefined : readCursor(cursor);
    const prefix = q === undefined ? undefined : keyOf(q);
    const page = await users.list({ prefix, role, status }, { limit: limit + 1, after });
    const shown = page.slice(0, limit);
    return { users: shown, nextCursor: page.length > limit ? (shown.at(-1)?.id ?? null) : null };
  };

function readCursor(cursor: string): UserId {
  const id = UserId.safeParse(cursor);
  if (!id.success) throw new AppError('VALIDATION_FAILED', 'This cursor is not valid');
  return id.data;
}
