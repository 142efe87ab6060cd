import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { displayName, keyOf, type User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';
import type { RequireStepUp } from '../mfa/step-up.ts';
import type { Places } from '../workspaces/places.ts';
import { proveOwnPassword } from './prove-own-password.ts';

type ProfileDeps = Pick<
  Ports,
  'clock' | 'devices' | 'events' | 'limits' | 'mailQueue' | 'passwords' | 'secondFactors' | 'users'
> & { places: Places; requireStepUp: RequireStepUp };
type Changes = {
  username?: string | undefined;
  email?: string | undefined;
  currentPassword?: string | undefined;
  defaultWorkspaceId?: string | null | undefined;
};

export const createReadProfile = ({ users }: Pick<Ports, 'users'>) =>
  async function readProfile(caller: UserCaller): Promise<User> {
    const user = await users.find(caller.userId);
    if (!user) throw new AppError('NOT_FOUND');
    return user;
  };

/**
 * Changes the user name at once. A new e-mail address needs the password and waits until it is confirmed by the mail sent
 * to it; whether it belongs to another account is not told, that account's owner is.
 */
export const createUpdateProfile = (deps: ProfileDeps) =>
  async function updateProfile(caller: UserCaller, changes: Changes, origin: Origin): Promise<User> {
    let user = await createReadProfile(deps)(caller);
    const { email, username, defaultWorkspaceId: workspaceId } = changes;
    const isMoved = email !== undefined && keyOf(email) !== user.emailKey;
    const isRenamed = username !== undefined && displayName(username) !== user.username;
    const beginsElsewhere = workspaceId !== undefined && workspaceId !== (user.defaultWorkspaceId ?? null);
    // Whatever may refuse one change is asked before any is made: what is refused has changed nothing.
    const proven = isMoved ? await provenFor(deps, caller, user, changes) : user;
    if (isMoved) await deps.limits.spend('mail-per-recipient', keyOf(email));
    if (beginsElsewhere && workspaceId !== null) await requirePlace(deps, user, workspaceId);
    // The name may be taken, which only the change itself can tell.
    if (isRenamed) user = await rename(deps, user, username, origin);
    if (isMoved) user = await requestNewAddress(deps, proven, email, origin);
    if (beginsElsewhere) user = await beginIn(deps, user, workspaceId, origin);
    return user;
  };

/** Somebody who has proven to be the owner: the address is a way to a new password. */
async function provenFor(
  deps: ProfileDeps,
  caller: UserCaller,
  user: User,
  { currentPassword }: Changes,
): Promise<User> {
  // With a second factor the address is moved by whoever has that factor too.
  if ((await deps.secondFactors.find(user.id))?.active) await deps.requireStepUp(caller);
  if (currentPassword === undefined) {
    throw new AppError('WRONG_PASSWORD', 'Current password is required to change the e-mail address');
  }
  return proveOwnPassword(deps, user.id, currentPassword);
}

/** Only where the user may be now; a login asks again. */
async function requirePlace({ places }: ProfileDeps, user: User, workspaceId: string): Promise<void> {
  if (!(await places.find(user, workspaceId))) throw new AppError('NOT_FOUND', 'Workspace not found');
}

async function beginIn(
  { users, events, clock }: ProfileDeps,
  user: User,
  workspaceId: string | null,
  origin: Origin,
): Promise<User> {
  const changed = await users.setDefaultWorkspace(user.id, workspaceId, new Date(clock.now()));
  if (!changed) throw new AppError('NOT_FOUND');
  const facts = workspaceId === null ? {} : { workspaceId };
  await events.record({
    action: 'account.default-workspace-changed',
    actorId: user.id,
    targetId: user.id,
    origin,
    facts,
  });
  return changed;
}

async function rename(
  { users, events, clock, limits }: ProfileDeps,
  user: User,
  username: string,
  origin: Origin,
): Promise<User> {
  // The answer tells whether a name is taken.
  await limits.spend('rename-per-user', user.id);
  const name = { username: displayName(username), usernameKey: keyOf(username) };
  const renamed = await users.rename(user.id, name, new Date(clock.now()));
  if (renamed === 'taken') throw new AppError('DUPLICATE_USERNAME', 'Username already taken');
  if (!renamed) throw new AppError('NOT_FOUND');
  const facts = { from: user.username, to: renamed.username };
  await events.record({ action: 'account.renamed', actorId: user.id, targetId: user.id, origin, facts });
  return renamed;
}

async function requestNewAddress(deps: ProfileDeps, proven: User, email: string, origin: Origin): Promise<User> {
  const { users, mailQueue, events, clock } = deps;
  const now = new Date(clock.now());
  const changed = await users.setPendingEmail(proven, email, now);
  if (!changed) throw new AppError('INVALID_TOKEN');
  await mailQueue.add({ kind: 'email-change', userId: proven.id, email }, now);
  await events.record({ action: 'email.change-requested', actorId: proven.id, targetId: proven.id, origin });
  return changed;
}
