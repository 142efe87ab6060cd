import type { UserCaller } from '@tollgate/http-kit';
import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';
import { proveOwnPassword } from '../accounts/prove-own-password.ts';
import type { RequireStepUp } from '../mfa/step-up.ts';

export type ProveOwnerDeps = Pick<Ports, 'clock' | 'devices' | 'limits' | 'passwords' | 'secondFactors' | 'users'> & {
  requireStepUp: RequireStepUp;
};

/** A key outlives the session it is made in: whoever gets one proves the password again, and the second factor if there is one. */
export async function proveOwner(deps: ProveOwnerDeps, caller: UserCaller, password: string): Promise<User> {
  const user = await proveOwnPassword(deps, caller.userId, password);
  if ((await deps.secondFactors.find(user.id))?.active) await deps.requireStepUp(caller);
  return user;
}
