import { AppError } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { siteOf } from '../../domain/client-address.ts';
import { idleLimitOf, isOver, judgeReplay, type Session, type SessionLives } from '../../domain/session.ts';
import { mayLogIn, type User } from '../../domain/user.ts';
import type { Place } from '../../domain/workspace.ts';
import type { Ports } from '../../ports.ts';
import type { Places } from '../workspaces/places.ts';
import { pairFor, type TokenPair } from './open-session.ts';

type RefreshDeps = Pick<
  Ports,
  'clock' | 'events' | 'limits' | 'mailQueue' | 'revocations' | 'sessions' | 'tokens' | 'users'
> & {
  lives: SessionLives;
  places: Places;
};

/** `isCookie`: it came as a cookie, and not in the body. */
type RefreshProof = Readonly<{ token: string | undefined; isCookie: boolean }>;

/**
 * Exchanges a refresh token for its successor. A token works once; asking again within the grace gives the same successor,
 * and any older token ends the whole session. Name, address and role come from the account, not from the old token.
 */
export const createRefreshSession = (deps: RefreshDeps) =>
  async function refreshSession({ token, isCookie }: RefreshProof, origin: Origin): Promise<TokenPair> {
    await deps.limits.spend('refresh-per-address', siteOf(origin.ip));
    if (token === undefined || token === '') throw new AppError('REFRESH_TOKEN_REQUIRED');
    const claims = await deps.tokens.readRefresh(token);
    const session = claims && (await deps.sessions.find(claims.sessionId));
    if (!session || session.userId !== claims.userId || isOver(session, deps.clock.now())) throw refused();
    // What was used with cookies once stays a session of a browser, however its token comes.
    const used = { ...session, usesCookies: session.usesCookies === true || isCookie };
    // Before the rotation, so that a refusal uses no token up: whoever asks again later must not pass for a thief.
    const idleMs = idleLimit(deps, used, await standing(deps, used));
    const refreshToken = (await rotate(deps, used, token, idleMs)) ?? (await repeat(deps, session.id, token, origin));
    // And after it: whoever was deleted, demoted or removed meanwhile gets nothing, or the new role.
    return pairFor(deps, await standing(deps, used), used, refreshToken);
  };

const refused = () => new AppError('INVALID_REFRESH_TOKEN');

/**
 * Who goes on, and as what. A session stays in its workspace; whoever has lost that one logs in again instead of waking up in
 * another.
 */
async function standing({ users, places }: RefreshDeps, session: Session): Promise<{ user: User; place: Place }> {
  const user = await users.find(session.userId);
  if (!user || !mayLogIn(user) || user.tokenVersion !== session.tokenVersion) throw refused();
  const place = await places.find(user, session.workspaceId);
  if (!place) throw refused();
  return { user, place };
}

/** By the limits as they are now, and by the way the session is used now: both may be shorter than at the last refresh. */
function idleLimit({ clock, lives }: RefreshDeps, session: Session, { user }: { user: User }): number {
  const limit = idleLimitOf({ ...session, role: user.role }, lives);
  if (clock.now() - session.rotatedAt.getTime() >= limit) throw refused();
  return limit;
}

async function rotate(
  { tokens, sessions, clock }: RefreshDeps,
  session: Session & { usesCookies: boolean },
  token: string,
  idleMs: number,
): Promise<string | undefined> {
  const now = clock.now();
  const successor = await tokens.refresh(session.userId, session.id, session.endsAt);
  const rotated = await sessions.rotate(session.id, {
    fromHash: tokens.hash(token),
    toHash: tokens.hash(successor),
    sealedSuccessor: tokens.seal(successor, token),
    now: new Date(now),
    idleUntil: new Date(now + idleMs),
    usesCookies: session.usesCookies,
  });
  return rotated && successor;
}

/** The token was used before: by a client that did not hear the answer, or by a thief. */
async function repeat(deps: RefreshDeps, sessionId: string, token: string, origin: Origin): Promise<string> {
  const { tokens, sessions, clock, lives } = deps;
  const session = await sessions.find(sessionId);
  const now = clock.now();
  if (!session || isOver(session, now)) throw refused();
  const isRepeated = judgeReplay(session, tokens.hash(token), now, lives.graceMs) === 'repeated';
  const successor = isRepeated && session.sealedSuccessor ? tokens.unseal(session.sealedSuccessor, token) : undefined;
  if (successor) return successor;
  await endStolen(deps, session, origin);
  throw refused();
}

/** Both the thief and the owner are sent back to the login. */
async function endStolen(deps: RefreshDeps, { id: sessionId, userId }: Session, origin: Origin): Promise<void> {
  const { sessions, revocations, events, mailQueue, clock } = deps;
  const now = new Date(clock.now());
  const isEnded = await sessions.end(sessionId, 'refresh-reuse', now);
  await revocations.add([{ kind: 'session', sessionId, reason: 'refresh-reuse' }], now);
  if (!isEnded) return;
  await events.record({ action: 'session.refresh-reused', targetId: userId, origin, facts: { sessionId } });
  await mailQueue.add({ kind: 'session-theft', userId }, now);
}
