import { AppError, type UserCaller } from '@tollgate/http-kit';
import { mayLogIn, type User } from '../../domain/user.ts';
import { claimedRole } from '../../domain/workspace.ts';
import type { Ports } from '../../ports.ts';
import type { Places } from '../workspaces/places.ts';

type LiveDeps = Pick<Ports, 'users' | 'sessions'> & { places: Places; defaultWorkspaceId: string };

/**
 * A valid access token is not enough here: its session must not have ended, and its user must be what the token says in the
 * workspace it names, so that logout, a new password, a new role, deletion and removal count at once in this service.
 */
export const createRequireLiveSession = (deps: LiveDeps) =>
  async function requireLiveSession(caller: UserCaller): Promise<void> {
    const { users, sessions } = deps;
    const [user, session] = await Promise.all([
      users.find(caller.userId),
      caller.sessionId === undefined ? undefined : sessions.find(caller.sessionId),
    ]);
    // Tokens of the profile "compatible" may carry no session; then the account decides alone.
    const isEnded = caller.sessionId !== undefined && (!session || session.revokedAt !== undefined);
    const isStale = session !== undefined && session.tokenVersion !== user?.tokenVersion;
    if (user && mayLogIn(user) && !isEnded && !isStale && (await isWhatItSays(deps, caller, user))) return;
    throw new AppError('INVALID_TOKEN', undefined, { headers: { 'www-authenticate': 'Bearer error="invalid_token"' } });
  };

async function isWhatItSays(
  { places, defaultWorkspaceId }: LiveDeps,
  { role, workspaceId, workspaceRole, memberVersion }: UserCaller,
  user: User,
): Promise<boolean> {
  const place = await places.find(user, workspaceId);
  return (
    place !== undefined &&
    role === claimedRole(user, place, defaultWorkspaceId) &&
    (workspaceRole === undefined || workspaceRole === place.role) &&
    (memberVersion === undefined || memberVersion === place.memberVersion)
  );
}
