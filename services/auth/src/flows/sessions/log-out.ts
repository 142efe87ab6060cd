import type { UserId } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import type { Ports } from '../../ports.ts';

type LogOutDeps = Pick<Ports, 'clock' | 'events' | 'revocations' | 'sessions' | 'tokens'>;
type LogOutAllDeps = Omit<LogOutDeps, 'tokens'> & Pick<Ports, 'users'>;
type Proofs = { refreshToken?: string | undefined; accessToken?: string | undefined };

/** Ends the session that a refresh token, else an access token, belongs to. Nothing to end is no failure. */
export const createLogOut = ({ sessions, tokens, events, clock, revocations }: LogOutDeps) =>
  async function logOut({ refreshToken, accessToken }: Proofs, origin: Origin): Promise<void> {
    const fromRefresh = refreshToken ? await tokens.readRefresh(refreshToken) : undefined;
    const sessionId = fromRefresh?.sessionId ?? (accessToken ? await tokens.readAccessSession(accessToken) : undefined);
    const session = sessionId === undefined ? undefined : await sessions.find(sessionId);
    if (!session) return;
    const now = new Date(clock.now());
    const isEnded = await sessions.end(session.id, 'logout', now);
    // Also when it had ended: the attempt before this one may have failed here.
    await revocations.add([{ kind: 'session', sessionId: session.id, reason: 'logout' }], now);
    if (!isEnded) return;
    await events.record({ action: 'session.ended', actorId: session.userId, targetId: session.userId, origin });
  };

/** Ends every session of a user, the own ones or as an administrator those of another, one that is being opened at this moment included. */
export const createLogOutAll = ({ users, sessions, events, clock, revocations }: LogOutAllDeps) =>
  async function logOutAll(caller: UserCaller, userId: UserId, origin: Origin): Promise<void> {
    const now = new Date(clock.now());
    const user = await users.endSessions(userId, now);
    if (!user) throw new AppError('NOT_FOUND', 'User not found');
    const reason = caller.userId === userId ? 'logout-all' : 'signed-out';
    await sessions.endAllOf([userId], reason, now);
    await revocations.add([{ kind: 'user', userId, minVersion: user.tokenVersion, reason }], now);
    await events.record({ action: 'session.all-ended', actorId: caller.userId, targetId: userId, origin });
  };
