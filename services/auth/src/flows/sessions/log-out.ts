import type { UserId } from '@tollgate/contracts';
import type { Origin } from '../../domain/audit-event.ts';
import type { Ports } from '../../ports.ts';

type LogOutDeps = Pick<Ports, 'clock' | 'events' | 'sessions' | 'tokens'>;
type Proofs = { refreshToken?: string | undefined; accessToken?: string | undefined };

/** Ends the session that a refresh token, else an access token, belongs to. Nothing to end is no failure. */
export const createLogOut = ({ sessions, tokens, events, clock }: LogOutDeps) =>
  async function logOut({ refreshToken, accessToken }: Proofs, origin: Origin): Promise<void> {
    const fromRefresh = refreshToken ? await tokens.readRefresh(refreshToken) : undefined;
    const sessionId = fromRefresh?.sessionId ?? (accessToken ? await tokens.readAccessSession(accessToken) : undefined);
    const session = sessionId === undefined ? undefined : await sessions.find(sessionId);
    if (!session || !(await sessions.end(session.id, 'logout', new Date(clock.now())))) return;
    await events.record({ action: 'session.ended', actorId: session.userId, targetId: session.userId, origin });
  };

/** Ends every session of a user. */
export const createLogOutAll = ({ sessions, events, clock }: Omit<LogOutDeps, 'tokens'>) =>
  async function logOutAll(userId: UserId, origin: Origin): Promise<void> {
    await sessions.endAllOf([userId], 'logout-all', new Date(clock.now()));
    await events.record({ action: 'session.all-ended', actorId: userId, targetId: userId, origin });
  };
