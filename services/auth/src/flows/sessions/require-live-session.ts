import { AppError, type UserCaller } from '@tollgate/http-kit';
import { mayLogIn } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';

/**
 * A valid access token is not enough here: its session must not have ended and its user must be as the token says, so that
 * logout, a new password, a new role and deletion count at once in this service.
 */
export const createRequireLiveSession = ({ users, sessions }: Pick<Ports, 'users' | 'sessions'>) =>
  async function requireLiveSession(caller: UserCaller): Promise<void> {
    const [user, session] = await Promise.all([
      users.find(caller.userId),
      caller.sessionId === undefined ? undefined : sessions.find(caller.sessionId),
    ]);
    // Tokens of the profile "compatible" may carry no session; then the account decides alone.
    const isEnded = caller.sessionId !== undefined && (!session || session.revokedAt !== undefined);
    const isStale = session !== undefined && session.tokenVersion !== user?.tokenVersion;
    if (user && mayLogIn(user) && user.role === caller.role && !isEnded && !isStale) return;
    throw new AppError('INVALID_TOKEN', undefined, { headers: { 'www-authenticate': 'Bearer error="invalid_token"' } });
  };
