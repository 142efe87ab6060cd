import { AppError } from '@tollgate/http-kit';
import type { Person } from '../../domain/callers.ts';
import { type Scope, scopeOf } from '../../domain/scope.ts';
import type { Ports } from '../../ports.ts';

/**
 * How far a caller may look at what somebody else did: everywhere (undefined), or what was done in the caller's workspace.
 * @throws AppError NOT_FOUND for a user who does not belong to it
 */
export async function viewOf(
  { accounts, rules }: Pick<Ports, 'accounts' | 'rules'>,
  caller: Pick<Person, 'role' | 'workspaceId'>,
  userId?: string,
): Promise<Scope | undefined> {
  const scope = scopeOf(caller, rules.defaultWorkspaceId);
  if (scope && userId !== undefined && !(await accounts.isWithin(userId, scope))) throw new AppError('NOT_FOUND');
  return scope;
}
