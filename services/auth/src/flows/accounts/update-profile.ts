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
    if (changes.email !== undefined && keyOf(changes.email) !== user.emailKey) {
      // The address is a way to a new password: with a second factor it is moved by whoever has that factor too.
      if ((await deps.secondFactors.find(user.id))?.active) await deps.requireStepUp(caller);
      user = await requestNewAddress(deps, user, { ...changes, email: changes.email }, origin);
    }
    if (changes.username !== undefined && displayName(changes.username) !== user.username) {
      user = await rename(deps, user, changes.username, origin);
    }
    if (changes.defaultWorkspaceId !== undefined && changes.defaultWorkspaceId !== (user.defaultWorkspaceId ?? null)) {
      user = await beginIn(deps, user, changes.defaultWorkspaceId, origin);
    }
    return user;
  };

/** Only where the user may be now; a login asks again. */
async function beginIn(
  { users, places, events, clock }: ProfileDeps,
  user: User,
  workspaceId: string | null,
  origin: Origin,
): Promise<User> {
  if (workspaceId !== null && !(await places.find(user, workspaceId))) {
    throw new AppError('NOT_FOUND', 'Workspace not found');
  }
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

async function requestNewAddress(
  deps: ProfileDeps,
  user: User,
  { email, currentPassword }: Changes & { email: string },
  origin: Origin,
): Promise<User> {
  if (currentPassword === undefined) {
    throw new AppError('WRONG_PASSWORD', 'Current password is required to change the e-mail address');
  }
  const proven = await proveOwnPassword(deps, user.id, currentPassword);
  await deps.limits.spend('mail-per-recipient', keyOf(email));
  const now = new Date(deps.clock.now());
  const changed = await deps.users.setPendingEmail(proven, email, now);
  if (!changed) throw new AppError('INVALID_TOKEN');
  await deps.mailQueue.add({ kind: 'email-change', userId: user.id, email }, now);
  await deps.events.record({ action: 'email.change-requested', actorId: user.id, targetId: user.id, origin });
  return changed;
}
