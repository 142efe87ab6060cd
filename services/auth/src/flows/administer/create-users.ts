import { auth, type Role, type UserId } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { faultOfPassword, type PasswordRules } from '../../domain/password-rules.ts';
import { displayName, keyOf, type NewUser } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';

type CreateDeps = Pick<Ports, 'clock' | 'events' | 'mailQueue' | 'passwords' | 'secrets' | 'users'> & {
  rules: PasswordRules;
  abandonMs: number;
};
type NewAccount = { username: string; email: string; role: Role; isVerified: boolean };

/** Opens an account for somebody else, with a password that both know until its owner changes it. */
export const createCreateUser = (deps: CreateDeps) =>
  async function createUser(
    caller: UserCaller,
    account: NewAccount & { password: string },
    origin: Origin,
  ): Promise<UserId> {
    refuseAdmins(account.role);
    const fault = faultOfPassword(account.password, account, deps.rules);
    if (fault) throw new AppError('WEAK_PASSWORD', fault);
    const userId = await openAccount(deps, account);
    if (!account.isVerified)
      await deps.mailQueue.add({ kind: 'verification', email: account.email }, new Date(deps.clock.now()));
    await deps.events.record({ action: 'account.created', actorId: caller.userId, targetId: userId, origin });
    return userId;
  };

/** Opens an account whose owner chooses the password through a mailed link, which also proves the address. */
export const createInviteUser = (deps: CreateDeps) =>
  async function inviteUser(caller: UserCaller, account: NewAccount, origin: Origin): Promise<UserId> {
    refuseAdmins(account.role);
    const userId = await openAccount(deps, { ...account, password: deps.secrets.password() });
    await deps.mailQueue.add({ kind: 'welcome', userId }, new Date(deps.clock.now()));
    await deps.events.record({ action: 'account.created', actorId: caller.userId, targetId: userId, origin });
    return userId;
  };

type CreateUsersDeps = { inviteUser: ReturnType<typeof createInviteUser> };
type Line = { username: string; email: string; role?: string | undefined };
type Outcome = { username: string; email: string; success: boolean; message: string; userId?: UserId };

/** Opens many accounts, one after the other; what is wrong with one does not stop the next. */
export const createCreateUsers = ({ inviteUser }: CreateUsersDeps) =>
  async function createUsers(
    caller: UserCaller,
    lines: readonly Line[],
    isVerified: boolean,
    origin: Origin,
  ): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const line of lines) outcomes.push(await createOne(line));
    return outcomes;

    async function createOne({ username, email, role }: Line): Promise<Outcome> {
      const row = auth.NewUserRow.safeParse({ username, email, role });
      if (!row.success)
        return { username, email, success: false, message: row.error.issues[0]?.message ?? 'Not valid' };
      try {
        const userId = await inviteUser(caller, { ...row.data, isVerified }, origin);
        return { username, email, success: true, message: 'User created successfully', userId };
      } catch (error) {
        if (!(error instanceof AppError) || error.status >= 500) throw error;
        return { username, email, success: false, message: error.message };
      }
    }
  };

/** An administrator is made by promotion, which is audited on its own, or by the seed of an installation. */
function refuseAdmins(role: Role): void {
  if (role === 'admin') throw new AppError('FORBIDDEN', 'Creating admin users is restricted');
}

/** The one way an account comes to be beside sign-up; tells its caller, who may know, what is taken. */
export async function openAccount(
  deps: Pick<CreateDeps, 'clock' | 'passwords' | 'secrets' | 'users' | 'abandonMs'>,
  { username, email, role, isVerified, password }: NewAccount & { password: string },
): Promise<UserId> {
  const { users, clock, secrets, passwords, abandonMs } = deps;
  const passwordHash = await passwords.hash(password);
  const now = clock.now();
  const keys = { usernameKey: keyOf(username), emailKey: keyOf(email) };
  const account: NewUser = {
    id: secrets.userId(),
    username: displayName(username),
    email,
    ...keys,
    isVerified,
    role,
    status: 'active',
    passwordHash,
    createdAt: new Date(now),
    updatedAt: new Date(now),
    ...(!isVerified && { abandonedAt: new Date(now + abandonMs) }),
  };
  await users.removeAbandoned(keys, account.createdAt);
  if (await users.insert(account)) return account.id;
  throw new AppError((await users.findByName(keys.usernameKey)) ? 'DUPLICATE_USERNAME' : 'DUPLICATE_EMAIL');
}
