import { AppError } from '@tollgate/http-kit';
import { claimsOf, type Person } from '../domain/callers.ts';
import type { Account, BalanceRecord, LotRecord, Ports } from '../ports.ts';

export type BalanceWithLots = BalanceRecord & { lots: LotRecord[] };

/** What the caller can spend. The first call opens the account. */
export const createReadOwnBalance = ({ accounts }: Pick<Ports, 'accounts'>) =>
  async function readOwnBalance(caller: Person): Promise<BalanceWithLots> {
    await accounts.touch(claimsOf(caller));
    const [balance, lots] = await Promise.all([accounts.balance(caller.userId), accounts.activeLots(caller.userId)]);
    return { ...balance, lots };
  };

/** What somebody else can spend; `name` is an id or an e-mail address. */
export const createReadBalanceOf = ({ accounts }: Pick<Ports, 'accounts'>) =>
  async function readBalanceOf(name: string): Promise<BalanceWithLots & Pick<Account, 'flaggedReason'>> {
    const account = await accounts.find(name);
    if (!account) {
      throw new AppError('NOT_FOUND', name.includes('@') ? 'User not found with the provided email' : 'User not found');
    }
    const [balance, lots] = await Promise.all([accounts.balance(account.id), accounts.activeLots(account.id)]);
    return { ...balance, lots, flaggedReason: account.flaggedReason };
  };
