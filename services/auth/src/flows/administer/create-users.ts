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
    const userId = await openAccount(deps, { ...account, passwordHash: await deps.passwords.hash(account.password) });
    if (!account.isVerified)
      await deps.mailQueue.add({ kind: 'verification', email: account.email }, new Date(deps.clock.now()));
    const facts = { role: account.role, isVerified: account.isVerified };
    await deps.events.record({ action: 'account.created', actorId: caller.userId, targetId: userId, origin, facts });
    return userId;
  };

type CreateUsersDeps = CreateDeps;
type Line = { username: string; email: string; role?: string | undefined };
type Outcome = { username: string; email: string; success: boolean; message: string; userId?: UserId };

/** So many accounts of a list are opened side by side. */
const AT_ONCE = 10;

/**
 * Opens many accounts, whose owners choose their passwords through a mailed link that also proves the address. What is wrong
 * with one line does not stop the others; each is told apart, also when the platform fails in the middle.
 */
export const createCreateUsers = (deps: CreateUsersDeps) =>
  async function createUsers(
    caller: UserCaller,
    lines: readonly Line[],
    isVerified: boolean,
    origin: Origin,
  ): Promise<Outcome[]> {
    // One hash for the whole list, of a password that nobody knows: hundreds would keep the processors busy for minutes.
    const passwordHash = await deps.passwords.hash(deps.secrets.password());
    const judged = judge(lines);
    const outcomes: Outcome[] = [];
    for (let at = 0; at < judged.length; at += AT_ONCE)
      outcomes.push(...(await Promise.all(judged.slice(at, at + AT_ONCE).map(createOne))));
    return outcomes;

    async function createOne({ line: { username, email }, account, fault }: Judged): Promise<Outcome> {
      if (!account) return { username, email, success: false, message: fault };
      try {
        const userId = await invite(deps, caller, { ...account, isVerified, passwordHash }, origin);
        return { username, email, success: true, message: 'User created successfully', userId };
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        const message = error.status < SERVER_FAULT ? error.message : 'Not created now; please send this line again';
        return { username, email, success: false, message };
      }
    }
  };

const SERVER_FAULT = 500;

type Judged = { line: Line; fault: string; account?: { username: string; email: string; role: Role } };

/** Of lines with the same name or address the first counts: they are worked on side by side. */
function judge(lines: readonly Line[]): Judged[] {
  const seen = new Set<string>();
  return lines.map((line) => {
    const row = auth.NewUserRow.safeParse({ username: line.username, email: line.email, role: line.role });
    if (!row.success) return { line, fault: row.error.issues[0]?.message ?? 'Not valid' };
    const keys = [keyOf(row.data.username), keyOf(row.data.email)];
    if (keys.some((key) => seen.has(key))) return { line, fault: 'This name or address is in the list twice' };
    for (const key of keys) seen.add(key);
    return { line, fault: '', account: row.data };
  });
}

type Invited = Omit<NewAccount, 'password'> & { passwordHash: string };

async function invite(deps: CreateDeps, caller: UserCaller, account: Invited, origin: Origin): Promise<UserId> {
  refuseAdmins(account.role);
  const userId = await openAccount(deps, account);
  await deps.mailQueue.add({ kind: 'welcome', userId }, new Date(deps.clock.now()));
  const facts = { role: account.role, isVerified: account.isVerified };
  await deps.events.record({ action: 'account.created', actorId: caller.userId, targetId: userId, origin, facts });
  return userId;
}

/** An administrator is made by promotion, which is audited on its own, or by the seed of an installation. */
function refuseAdmins(role: Role): void {
  if (role === 'admin') throw new AppError('FORBIDDEN', 'Creating admin users is restricted');
}

/** The one way an account comes to be beside sign-up; tells its caller, who may know, what is taken. */
export async function openAccount(
  deps: Pick<CreateDeps, 'clock' | 'secrets' | 'users' | 'abandonMs'>,
  { username, email, role, isVerified, passwordHash }: NewAccount & { passwordHash: string },
): Promise<UserId> {
  const { users, clock, secrets, abandonMs } = deps;
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
