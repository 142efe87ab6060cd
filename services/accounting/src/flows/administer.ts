import type { accounting, ServerInput } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import type { Person } from '../domain/callers.ts';
import { scopeOf } from '../domain/scope.ts';
import type { Account, Page, Ports } from '../ports.ts';

type NewAccount = ServerInput<typeof accounting.createAccount>['body'];

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

/** Lots of the accounts that the caller may see. */
export const createListAllocations = ({ reports, rules }: Pick<Ports, 'reports' | 'rules'>) =>
  function listAllocations(caller: Pick<Person, 'role' | 'workspaceId'>, page: Page) {
    return reports.allocations(page, scopeOf(caller, rules.defaultWorkspaceId));
  };

/** The ledger of one account, newest first. */
export const createListTransactions = ({ reports }: Pick<Ports, 'reports'>) =>
  function listTransactions(userId: string, page: Page) {
    return reports.transactions(userId, page);
  };
