import type { ChallengeKind } from '../../domain/challenge.ts';
import type { Ports } from '../../ports.ts';
import type { Proven } from './continue-log-in.ts';

/** Ten minutes: long enough to find the phone. */
const CHALLENGE_LIFE_MS = 600_000;

type ChallengeDeps = Pick<Ports, 'challenges' | 'clock' | 'secrets'>;

/** Stops a login half-way: the secret with which its owner goes on. */
export async function issueChallenge(
  { challenges, clock, secrets }: ChallengeDeps,
  kind: ChallengeKind,
  { user, hasSecondFactor, workspaceId }: Proven,
): Promise<string> {
  const { secret, hash } = secrets.challenge();
  const now = clock.now();
  await challenges.insert({
    kind,
    hash,
    userId: user.id,
    tokenVersion: user.tokenVersion,
    hasSecondFactor,
    ...(workspaceId !== undefined && { workspaceId }),
    createdAt: new Date(now),
    expiresAt: new Date(now + CHALLENGE_LIFE_MS),
  });
  return secret;
}
