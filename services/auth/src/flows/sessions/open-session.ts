import type { Origin } from '../../domain/audit-event.ts';
import type { Session, SessionLives } from '../../domain/session.ts';
import type { User } from '../../domain/user.ts';
import type { Place } from '../../domain/workspace.ts';
import type { Ports } from '../../ports.ts';

export type TokenPair = Readonly<{ accessToken: string; refreshToken: string }>;
/** Whose session, and in which workspace. */
type Seated = Readonly<{ user: User; place: Place }>;

export type OpenSessionDeps = Pick<Ports, 'clock' | 'secrets' | 'sessions' | 'tokens'> & { lives: SessionLives };

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
    idleUntil: new Date(now + lives.idleMs),
  });
  return { accessToken: await tokens.access(user, id, place), refreshToken };
}
