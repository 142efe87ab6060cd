import type { UserId } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { type MfaPolicy, mustHaveSecondFactor } from '../../domain/second-factor.ts';
import type { Ports } from '../../ports.ts';
import type { RequireStepUp } from './step-up.ts';

type ManageDeps = Pick<Ports, 'backupCodes' | 'clock' | 'events' | 'mailQueue' | 'secondFactors' | 'users'> & {
  mfaPolicy: MfaPolicy;
  requireStepUp: RequireStepUp;
};
export type FactorStatus = Readonly<{ enabledAt?: Date; backupCodesLeft: number; isRequired: boolean }>;

const none = () => new AppError('NOT_FOUND', 'There is no second factor');

export const createReadSecondFactor = ({ secondFactors, mfaPolicy }: Pick<ManageDeps, 'secondFactors' | 'mfaPolicy'>) =>
  async function readSecondFactor({ userId, role }: UserCaller): Promise<FactorStatus> {
    const factor = await secondFactors.find(userId);
    return {
      ...(factor?.active && { enabledAt: factor.active.confirmedAt }),
      backupCodesLeft: factor?.backupHashes.length ?? 0,
      isRequired: mustHaveSecondFactor(mfaPolicy, role),
    };
  };

/** Gives the second factor up, unless the account must have one: then it can only be replaced. */
export const createDisableTotp = (deps: ManageDeps) =>
  async function disableTotp(caller: UserCaller, origin: Origin): Promise<void> {
    const { userId, role } = caller;
    await deps.requireStepUp(caller);
    if (mustHaveSecondFactor(deps.mfaPolicy, role))
      throw new AppError('FORBIDDEN', 'This account must keep a second factor; set up another one instead');
    if (!(await deps.secondFactors.remove(userId))) throw none();
    await deps.mailQueue.add({ kind: 'second-factor-disabled', userId }, new Date(deps.clock.now()));
    await deps.events.record({ action: 'mfa.disabled', actorId: userId, targetId: userId, origin });
  };

/** A new set of backup codes, shown this once; the old ones are void. */
export const createReplaceBackupCodes = (deps: ManageDeps) =>
  async function replaceBackupCodes(caller: UserCaller, origin: Origin): Promise<string[]> {
    const { userId } = caller;
    await deps.requireStepUp(caller);
    const { codes, hashes } = deps.backupCodes.create(userId);
    if (!(await deps.secondFactors.replaceBackupCodes(userId, hashes))) throw none();
    await deps.mailQueue.add({ kind: 'backup-codes-replaced', userId }, new Date(deps.clock.now()));
    await deps.events.record({ action: 'mfa.backup-codes-replaced', actorId: userId, targetId: userId, origin });
    return codes;
  };

/** For a user who lost phone and codes. Their next login needs the password alone, or leads to a new second factor. */
export const createResetSecondFactor = (deps: ManageDeps) =>
  async function resetSecondFactor(caller: UserCaller, userId: UserId, origin: Origin): Promise<void> {
    if (userId === caller.userId) throw new AppError('OWN_ACCOUNT', 'Change your own second factor under /api/mfa');
    await deps.requireStepUp(caller);
    const user = await deps.users.find(userId);
    if (!user?.emailKey) throw new AppError('NOT_FOUND', 'User not found');
    if (!(await deps.secondFactors.remove(userId))) throw none();
    await deps.mailQueue.add({ kind: 'second-factor-reset', userId }, new Date(deps.clock.now()));
    await deps.events.record({ action: 'mfa.reset-by-admin', actorId: caller.userId, targetId: userId, origin });
  };
