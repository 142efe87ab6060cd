import type { UserId } from '@tollgate/contracts';
import type { Origin } from '../../domain/audit-event.ts';
import { accessLifeOf, idleLimitOf, MOST_SESSIONS, type Session, type SessionLives } from '../../domain/session.ts';
import type { User } from '../../domain/user.ts';
import type { Place } from '../../domain/workspace.ts';
import type { Ports } from '../../ports.ts';

/** Both tokens, and how long each is good for if it is not used. */
export type TokenPair = Readonly<{ accessToken: string; refreshToken: string; accessMs: number; refreshMs: number }>;
/** Whose session, and in which workspace. */
type Seated = Readonly<{ user: User; place: Place }>;

export type OpenSessionDeps = Pick<Ports, 'clock' | 'revocations' | 'secrets' | 'sessions' | 'tokens'> & {
  lives: SessionLives;
};

/** Starts a token family for a user who has proven who they are. */
export async function openSession(deps: OpenSessionDeps, { user, place }: Seated, origin: Origin): Promise<TokenPair> {
  const now = deps.clock.now();
  return start(
    deps,
    { user, place },
    {
      userId: user.id,
      tokenVersion: user.tokenVersion,
      createdAt: new Date(now),
      endsAt: new Date(now + deps.lives.absoluteMs),
      ip: origin.ip,
      userAgent: origin.userAgent,
      usesCookies: origin.isPage === true,
    },
  );
}

/** Starts one in the place of another: with everything that was proven for it, and until when it would have lived. */
export function succeedSession(deps: OpenSessionDeps, before: Session, seated: Seated): Promise<TokenPair> {
  const { id: _id, previousHash: _hash, sealedSuccessor: _sealed, revokedAt: _revoked, ...kept } = before;
  return start(deps, seated, kept);
}

type Beginning = Omit<
  Session,
  'id' | 'currentHash' | 'previousHash' | 'sealedSuccessor' | 'rotatedAt' | 'idleUntil' | 'revokedAt' | 'workspaceId'
>;

async function start(deps: OpenSessionDeps, { user, place }: Seated, session: Beginning): Promise<TokenPair> {
  const { tokens, sessions, lives } = deps;
  const id = deps.secrets.uuid();
  const now = deps.clock.now();
  const refreshToken = await tokens.refresh(user.id, id, session.endsAt);
  await sessions.insert({
    ...session,
    id,
    // In the default workspace nobody is a member; sessions there name none.
    ...(place.memberVersion !== undefined && { workspaceId: place.workspaceId }),
    currentHash: tokens.hash(refreshToken),
    rotatedAt: new Date(now),
    idleUntil: new Date(now + idleLimitOf({ ...session, role: user.role }, lives)),
  });
  await makeRoom(deps, session.userId);
  return pairFor(deps, { user, place }, { ...session, id }, refreshToken);
}

/** The refresh token of a session together with an access token for it. */
export async function pairFor(
  { tokens, lives }: Pick<OpenSessionDeps, 'tokens' | 'lives'>,
  { user, place }: Seated,
  { id, usesCookies }: Pick<Session, 'id' | 'usesCookies'>,
  refreshToken: string,
): Promise<TokenPair> {
  const use = { usesCookies, role: user.role };
  const accessMs = accessLifeOf(use, lives);
  const accessToken = await tokens.access(user, { id, lifeMs: accessMs }, place);
  return { accessToken, refreshToken, accessMs, refreshMs: idleLimitOf(use, lives) };
}

/** Counted after the insert, so that sessions opened at once are all counted by whoever comes last. */
async function makeRoom({ sessions, revocations, clock }: OpenSessionDeps, userId: UserId): Promise<void> {
  const now = new Date(clock.now());
  const reason = 'too-many-sessions';
  const ended = await sessions.endAllBut(MOST_SESSIONS, userId, reason, now);
  await revocations.add(
    ended.map((sessionId) => ({ kind: 'session', sessionId, reason })),
    now,
  );
}
