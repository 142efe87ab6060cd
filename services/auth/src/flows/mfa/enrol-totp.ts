import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { bareCode, ENROLMENT_LIFE_MS } from '../../domain/second-factor.ts';
import type { User } from '../../domain/user.ts';
import type { Enrolment } from '../../ports/second-factors.ts';
import type { Ports } from '../../ports.ts';
import type { RequireStepUp } from './step-up.ts';
import { secretPlace, type UseFactorDeps } from './use-second-factor.ts';

type ProposeDeps = Pick<Ports, 'clock' | 'fieldCipher' | 'secondFactors' | 'totp'>;
type EnrolDeps = ProposeDeps & Pick<Ports, 'users'> & { requireStepUp: RequireStepUp };

/** Begins to set up an authenticator app, or to move to another phone: what is in force stays so until the first code. */
export const createEnrolTotp = (deps: EnrolDeps) =>
  async function enrolTotp(caller: UserCaller): Promise<Enrolment> {
    await deps.requireStepUp(caller);
    const user = await deps.users.find(caller.userId);
    if (!user) throw new AppError('NOT_FOUND');
    return proposeSecret(deps, user);
  };

/** Makes a secret and shows it, for the only time. */
export async function proposeSecret(
  { clock, fieldCipher, secondFactors, totp }: ProposeDeps,
  { id, email }: Pick<User, 'id' | 'email'>,
): Promise<Enrolment> {
  const secret = totp.newSecret();
  await secondFactors.propose(id, fieldCipher.seal(secret, secretPlace(id)), new Date(clock.now()));
  return totp.describe(secret, email);
}

type ConfirmDeps = UseFactorDeps & Pick<Ports, 'mailQueue'>;

/** Puts the shown secret in force with its first code. */
export const createConfirmTotp = (deps: ConfirmDeps & { requireStepUp: RequireStepUp }) =>
  async function confirmTotp(caller: UserCaller, code: string, origin: Origin): Promise<string[]> {
    await deps.requireStepUp(caller);
    return confirmSecret(deps, caller, code, origin);
  };

/** The first code proves that the app has the secret; with it come the backup codes. */
export async function confirmSecret(
  deps: ConfirmDeps,
  { userId }: Pick<UserCaller, 'userId'>,
  code: string,
  origin: Origin,
): Promise<string[]> {
  const { backupCodes, clock, fieldCipher, secondFactors } = deps;
  const confirmed = await deps.limits.guess('second-factor-per-user', userId, async () => {
    const proposed = (await secondFactors.find(userId))?.proposed;
    const now = clock.now();
    if (!proposed || now - proposed.proposedAt.getTime() > ENROLMENT_LIFE_MS) return undefined;
    const { text: secret } = fieldCipher.open(proposed.sealedSecret, secretPlace(userId));
    const step = deps.totp.stepOf(secret, bareCode(code), now);
    if (step === undefined) return undefined;
    const { codes, hashes } = backupCodes.create(userId);
    const first = { step, backupHashes: hashes, now: new Date(now) };
    return (await secondFactors.confirm(userId, proposed.sealedSecret, first)) ? codes : undefined;
  });
  if (!confirmed) {
    await deps.events.record({ action: 'mfa.refused', targetId: userId, origin });
    throw new AppError('INVALID_SECOND_FACTOR');
  }
  await deps.mailQueue.add({ kind: 'second-factor-enabled', userId }, new Date(clock.now()));
  await deps.events.record({ action: 'mfa.enabled', actorId: userId, targetId: userId, origin });
  return confirmed;
}
