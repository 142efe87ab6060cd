import { AppError } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import type { Challenge, ChallengeKind } from '../../domain/challenge.ts';
import { siteOf } from '../../domain/client-address.ts';
import { mayLogIn, type User } from '../../domain/user.ts';
import type { Enrolment } from '../../ports/second-factors.ts';
import type { Ports } from '../../ports.ts';
import { requireUnlocked } from '../accounts/require-unlocked.ts';
import type { createContinueLogIn, LogInOutcome } from '../sessions/continue-log-in.ts';
import { confirmSecret, proposeSecret } from './enrol-totp.ts';
import { useSecondFactor, type UseFactorDeps } from './use-second-factor.ts';

type VerifyDeps = UseFactorDeps &
  Pick<Ports, 'challenges' | 'devices' | 'mailQueue' | 'secrets' | 'users'> & {
    continueLogIn: ReturnType<typeof createContinueLogIn>;
  };
type Answer = Readonly<{ challenge: string; code: string; deviceToken?: string | undefined }>;
type Open = Readonly<{ challenge: Challenge; user: User }>;

const over = () => new AppError('INVALID_CHALLENGE');

/**
 * Goes on with a login that stopped for the second factor. A wrong code leaves the challenge as it is; the right one uses
 * it up. Whoever had to set the factor up gets the backup codes with the first right code.
 */
export const createVerifySecondFactor = (deps: VerifyDeps) =>
  async function verifySecondFactor(
    { challenge: secret, code, deviceToken }: Answer,
    origin: Origin,
  ): Promise<{ outcome: LogInOutcome; backupCodes?: string[] }> {
    await deps.limits.spend('log-in-per-address', siteOf(origin.ip));
    const open = (await findOpen(deps, 'second-factor', secret)) ?? (await findOpen(deps, 'enrolment', secret));
    if (!open) throw over();
    const { challenge, user } = open;
    await requireUnlocked(deps, user, deviceToken);
    const backupCodes = await proveFactor(deps, open, code, origin);
    const now = new Date(deps.clock.now());
    if (!(await deps.challenges.take(challenge.kind, challenge.hash, now))) throw over();
    const outcome = await deps.continueLogIn({
      user,
      origin,
      hasSecondFactor: true,
      ...(challenge.workspaceId !== undefined && { workspaceId: challenge.workspaceId }),
    });
    return { outcome, ...(backupCodes && { backupCodes }) };
  };

/** For whoever must have a second factor before the first session: shows the secret of a new one. */
export const createEnrolAtLogIn = (deps: VerifyDeps) =>
  async function enrolAtLogIn(secret: string, origin: Origin): Promise<Enrolment> {
    await deps.limits.spend('log-in-per-address', siteOf(origin.ip));
    const open = await findOpen(deps, 'enrolment', secret);
    if (!open) throw over();
    return proposeSecret(deps, open.user);
  };

async function proveFactor(
  deps: VerifyDeps,
  { challenge, user }: Open,
  code: string,
  origin: Origin,
): Promise<string[] | undefined> {
  if (challenge.kind === 'enrolment') return confirmSecret(deps, { userId: user.id }, code, origin);
  await useSecondFactor(deps, user.id, code, origin);
  return undefined;
}

/** A challenge is over when the account has changed since, or is no longer asked for what the challenge is about. */
async function findOpen(
  { challenges, clock, secrets, secondFactors, users }: VerifyDeps,
  kind: ChallengeKind,
  secret: string,
): Promise<Open | undefined> {
  const challenge = await challenges.find(kind, secrets.challengeHashes(secret), new Date(clock.now()));
  const user = challenge && (await users.find(challenge.userId));
  if (!user || !mayLogIn(user) || user.tokenVersion !== challenge.tokenVersion) return undefined;
  const isInForce = (await secondFactors.find(user.id))?.active !== undefined;
  return isInForce === (kind === 'second-factor') ? { challenge, user } : undefined;
}
