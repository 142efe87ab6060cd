import type { accounting, ServerInput } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { actorOf, type Person } from '../domain/callers.ts';
import type { Account, Page, Ports, PriceRule } from '../ports.ts';

type NewAccount = ServerInput<typeof accounting.createAccount>['body'];
type NewRule = ServerInput<typeof accounting.createPrice>['body'];

/** Opens an account before its user's first call. */
export const createCreateAccount = ({ accounts }: Pick<Ports, 'accounts'>) =>
  async function createAccount({ sub, email, role, username }: NewAccount): Promise<Account> {
    const created = await accounts.create({
      id: sub,
      email,
      role,
      username: username ?? email.slice(0, email.indexOf('@')),
    });
    if (created === 'id')
      throw new AppError('DUPLICATE_ACCOUNT', `User with identifier (sub) '${sub}' already exists.`);
    if (created === 'email')
      throw new AppError('DUPLICATE_ACCOUNT', `User with email '${email}' already exists for a different user.`);
    return created;
  };

/** Adds the next version of a price; holds that are open keep theirs. */
export const createSetPrice = ({ prices }: Pick<Ports, 'prices'>) =>
  async function setPrice(caller: Person, rule: NewRule): Promise<PriceRule> {
    const added = await prices.add({ ...rule, createdBy: actorOf(caller) });
    if (added === 'past') throw new AppError('INVALID_AMOUNT', 'validFrom must not be in the past');
    return added;
  };

export const createListPrices = ({ prices }: Pick<Ports, 'prices'>) =>
  function listPrices(): Promise<PriceRule[]> {
    return prices.list();
  };

export const createListAllocations = ({ reports }: Pick<Ports, 'reports'>) =>
  function listAllocations(page: Page) {
    return reports.allocations(page);
  };

/** The ledger of one account, newest first. */
export const createListTransactions = ({ reports }: Pick<Ports, 'reports'>) =>
  function listTransactions(userId: string, page: Page) {
    return reports.transactions(userId, page);
  };
