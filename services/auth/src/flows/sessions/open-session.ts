import type { Origin } from '../../domain/audit-event.ts';
import type { SessionLives } from '../../domain/session.ts';
import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';

export type TokenPair = Readonly<{ accessToken: string; refreshToken: string }>;

export type OpenSessionDeps = Pick<Ports, 'clock' | 'secrets' | 'sessions' | 'tokens'> & { lives: SessionLives };

/** Starts a token family for a user who has proven who they are. */
export async function openSession(deps: OpenSessionDeps, user: User, origin: Origin): Promise<TokenPair> {
  const { tokens, sessions, lives } = deps;
  const id = deps.secrets.uuid();
  const now = deps.clock.now();
  const endsAt = new Date(now + lives.absoluteMs);
  const refreshToken = await tokens.refresh(user.id, id, endsAt);
  await sessions.insert({
    id,
    userId: user.id,
    tokenVersion: user.tokenVersion,
    currentHash: tokens.hash(refreshToken),
    rotatedAt: new Date(now),
    createdAt: new Date(now),
    idleUntil: new Date(now + lives.idleMs),
    endsAt,
    ip: origin.ip,
    userAgent: origin.userAgent,
  });
  return { accessToken: await tokens.access(user, id), refreshToken };
}
