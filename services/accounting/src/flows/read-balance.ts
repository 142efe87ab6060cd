import type { UserId } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { claimsOf, type Person } from '../domain/callers.ts';
import { scopeOf } from '../domain/scope.ts';
import type { Account, BalanceRecord, LotRecord, Ports } from '../ports.ts';

export type BalanceWithLots = BalanceRecord & { lots: LotRecord[]; payer: 'user' | 'workspace' };

/**
 * What the caller can spend. The first call opens the account. When the pool of its workspace pays, that is what the pool has
 * and the budgets leave; what else is in the pool is not the member's to see.
 */
export const createReadOwnBalance = ({ accounts, limits }: Pick<Ports, 'accounts' | 'limits'>) =>
  async function readOwnBalance(caller: Person): Promise<BalanceWithLots> {
    await accounts.touch(claimsOf(caller));
    const { userId, workspaceId } = caller;
    if (workspaceId !== undefined && (await accounts.payerOf(userId, workspaceId)) !== userId)
      return readPool({ accounts, limits }, userId, workspaceId);
    const [balance, lots] = await Promise.all([accounts.balance(caller.userId), accounts.activeLots(caller.userId)]);
    return { ...balance, lots, payer: 'user' };
  };

async function readPool(
  { accounts, limits }: Pick<Ports, 'accounts' | 'limits'>,
  userId: UserId,
  workspaceId: string,
): Promise<BalanceWithLots> {
  const [pool, applying] = await Promise.all([
    accounts.balance(`ws_${workspaceId}`),
    limits.applying({ userId, workspaceId }),
  ]);
  const budgets = applying.filter(({ measure }) => measure === 'credits').map(({ remaining }) => remaining);
  const available = Math.min(pool.available, ...budgets);
  return { available, held: 0, expiringSoon: Math.min(available, pool.expiringSoon), lots: [], payer: 'workspace' };
}

/** What somebody else can spend; `name` is an id or an e-mail address. Accounts outside of a supervisor's workspace do not exist. */
export const createReadBalanceOf = ({ accounts, rules }: Pick<Ports, 'accounts' | 'rules'>) =>
  async function readBalanceOf(
    caller: Pick<Person, 'role' | 'workspaceId'>,
    name: string,
  ): Promise<BalanceWithLots & Pick<Account, 'flaggedReason'>> {
    const account = await accounts.find(name);
    const scope = scopeOf(caller, rules.defaultWorkspaceId);
    if (!account || (scope && !(await accounts.isWithin(account.id, scope)))) {
      throw new AppError('NOT_FOUND', name.includes('@') ? 'User not found with the provided email' : 'User not found');
    }
    const [balance, lots] = await Promise.all([accounts.balance(account.id), accounts.activeLots(account.id)]);
    return { ...balance, lots, payer: 'user', flaggedReason: account.flaggedReason };
  };
