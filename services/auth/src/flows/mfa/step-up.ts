import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { STEP_UP_LIFE_MS } from '../../domain/second-factor.ts';
import type { Ports } from '../../ports.ts';
import { proveOwnPassword } from '../accounts/prove-own-password.ts';
import { useSecondFactor, type UseFactorDeps } from './use-second-factor.ts';

type StepUpDeps = UseFactorDeps & Pick<Ports, 'devices' | 'passwords' | 'sessions' | 'users'>;
type Proofs = { password: string; code?: string | undefined };

/** Marks the session of somebody who proves again who they are: for some minutes it may make sensitive changes. */
export const createStepUp = (deps: StepUpDeps) =>
  async function stepUp({ userId, sessionId }: UserCaller, { password, code }: Proofs, origin: Origin): Promise<Date> {
    const user = await proveOwnPassword(deps, userId, password);
    if ((await deps.secondFactors.find(userId))?.active) {
      if (code === undefined) throw new AppError('INVALID_SECOND_FACTOR', 'A code of the second factor is needed too');
      await useSecondFactor(deps, userId, code, origin);
    }
    const now = deps.clock.now();
    const isMarked = sessionId !== undefined && (await deps.sessions.markSteppedUp(sessionId, user.id, new Date(now)));
    if (!isMarked) throw new AppError('STEP_UP_REQUIRED', 'Only a session can do this; please log in');
    await deps.events.record({ action: 'session.stepped-up', actorId: userId, targetId: userId, origin });
    return new Date(now + STEP_UP_LIFE_MS);
  };

export type RequireStepUp = ReturnType<typeof createRequireStepUp>;

/** Whoever only holds a session, an unlocked screen or a stolen token, cannot make sensitive changes with it. */
export const createRequireStepUp = ({ clock, sessions }: Pick<Ports, 'clock' | 'sessions'>) =>
  async function requireStepUp({ userId, sessionId }: Pick<UserCaller, 'userId' | 'sessionId'>): Promise<void> {
    const session = sessionId === undefined ? undefined : await sessions.find(sessionId);
    const age = clock.now() - (session?.steppedUpAt?.getTime() ?? Number.NEGATIVE_INFINITY);
    if (session?.userId !== userId || age > STEP_UP_LIFE_MS) throw new AppError('STEP_UP_REQUIRED');
  };
