import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import type { Ports } from '../../ports.ts';
import type { Places } from '../workspaces/places.ts';
import type { LoggedIn } from './continue-log-in.ts';
import { type OpenSessionDeps, succeedSession } from './open-session.ts';

type SwitchDeps = OpenSessionDeps & Pick<Ports, 'events' | 'limits' | 'revocations' | 'users'> & { places: Places };

/**
 * Goes on in another workspace: a new session takes the place of the caller's, which ends, so that no token of the one
 * workspace lives beside those of the other. It ends no later than the one before would have. Of several switches of one
 * session at once, one succeeds.
 */
export const createSwitchWorkspace = (deps: SwitchDeps) =>
  async function switchWorkspace(caller: UserCaller, workspaceId: string, origin: Origin): Promise<LoggedIn> {
    const { users, sessions, places, revocations, clock } = deps;
    const [user, session] = await Promise.all([
      users.find(caller.userId),
      caller.sessionId === undefined ? undefined : sessions.find(caller.sessionId),
    ]);
    if (!user || !session) throw new AppError('INVALID_TOKEN');
    const place = await places.find(user, workspaceId);
    if (!place) throw new AppError('NOT_FOUND', 'Workspace not found');
    await deps.limits.spend('access-changes-per-user', user.id);
    const now = new Date(clock.now());
    if (!(await sessions.end(session.id, 'workspace-switched', now))) throw new AppError('INVALID_TOKEN');
    const pair = await succeedSession(deps, session, { user, place });
    await revocations.add([{ kind: 'session', sessionId: session.id, reason: 'session-ended' }], now);
    const facts = { workspaceId };
    await deps.events.record({ action: 'session.switched', actorId: user.id, targetId: user.id, origin, facts });
    return { kind: 'done', ...pair, user };
  };
