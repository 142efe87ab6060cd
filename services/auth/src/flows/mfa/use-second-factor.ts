import type { UserId } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { bareCode, isTotpCode } from '../../domain/second-factor.ts';
import type { Ports } from '../../ports.ts';

export type UseFactorDeps = Pick<
  Ports,
  'backupCodes' | 'clock' | 'events' | 'fieldCipher' | 'limits' | 'secondFactors' | 'totp'
>;

/** What a secret is sealed for; the same before and after its first code. */
export const secretPlace = (userId: UserId) => ({ collection: 'second_factors', field: 'secret', owner: userId });

/**
 * Uses up a code of the app or a backup code: whoever sees one typed cannot use it again. Wrong ones are counted for the
 * account, whichever login, session or kind of code they come with.
 */
export async function useSecondFactor(
  deps: UseFactorDeps,
  userId: UserId,
  code: string,
  origin: Origin,
): Promise<void> {
  const used = await deps.limits.guess('second-factor-per-user', userId, async () => {
    const isTotp = isTotpCode(bareCode(code));
    const isRight = await (isTotp
      ? useTotp(deps, userId, bareCode(code))
      : deps.secondFactors.useBackupCode(userId, deps.backupCodes.hashes(userId, code)));
    return isRight ? { isTotp } : undefined;
  });
  if (!used) {
    await deps.events.record({ action: 'mfa.refused', targetId: userId, origin });
    throw new AppError('INVALID_SECOND_FACTOR');
  }
  if (!used.isTotp) {
    await deps.events.record({ action: 'mfa.backup-code-used', actorId: userId, targetId: userId, origin });
  }
}

async function useTotp(deps: UseFactorDeps, userId: UserId, code: string): Promise<boolean> {
  const { clock, fieldCipher, secondFactors, totp } = deps;
  let tried: string | undefined;
  for (;;) {
    const sealedSecret = (await secondFactors.find(userId))?.active?.sealedSecret;
    // The same one again: its step was used up, and not its seal renewed meanwhile.
    if (sealedSecret === undefined || sealedSecret === tried) return false;
    const { text: secret, isOutdated } = fieldCipher.open(sealedSecret, secretPlace(userId));
    const step = totp.stepOf(secret, code, clock.now());
    if (step === undefined) return false;
    const resealed = isOutdated ? { resealed: fieldCipher.seal(secret, secretPlace(userId)) } : {};
    if (await secondFactors.useStep(userId, { sealedSecret, step, ...resealed })) return true;
    tried = sealedSecret;
  }
}
