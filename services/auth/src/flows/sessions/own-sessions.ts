import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import type { Session } from '../../domain/session.ts';
import type { Ports } from '../../ports.ts';

type OwnDeps = Pick<Ports, 'clock' | 'events' | 'revocations' | 'sessions' | 'users'>;

/** The caller's living sessions, the one used last first. */
export const createListSessions = ({ users, sessions, clock }: OwnDeps) =>
  async function listSessions(caller: UserCaller): Promise<Session[]> {
    const user = await users.find(caller.userId);
    if (!user) throw new AppError('NOT_FOUND');
    return sessions.listOf(user, new Date(clock.now()));
  };

/** Ends one session of the caller. Another's is as unknown as one that never was; one that has ended stays ended. */
export const createEndSession = ({ sessions, revocations, events, clock }: OwnDeps) =>
  async function endSession({ userId }: UserCaller, sessionId: string, origin: Origin): Promise<void> {
    const session = await sessions.find(sessionId);
    if (session?.userId !== userId) throw new AppError('NOT_FOUND', 'Session not found');
    const now = new Date(clock.now());
    const isEnded = await sessions.end(sessionId, 'session-ended', now);
    // Also when it had ended: the attempt before this one may have failed here.
    await revocations.add([{ kind: 'session', sessionId, reason: 'session-ended' }], now);
    if (!isEnded) return;
    await events.record({ action: 'session.ended', actorId: userId, targetId: userId, origin, facts: { sessionId } });
  };
