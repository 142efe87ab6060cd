import { PERMISSIONS, type Role } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import type { Person } from '../domain/callers.ts';
import { scopeOf } from '../domain/scope.ts';
import { explanationOf, withoutPool } from '../domain/explanation.ts';
import type { Explanation } from '../domain/transaction-record.ts';
import type { Ports } from '../ports.ts';

const STAFF: readonly Role[] = PERMISSIONS['credits:read-any'];

/**
 * Says how a transaction of the caller came about, and whether it is what was booked; administrators may ask for anybody's, supervisors
 * for what belongs to their workspace. Who asked for an
 * answer may ask for what a pool paid for it, but sees nothing of the pool.
 */
export const createExplainTransaction = ({
  explanations,
  prices,
  rules,
}: Pick<Ports, 'explanations' | 'prices' | 'rules'>) =>
  async function explainTransaction(
    caller: Pick<Person, 'userId' | 'role' | 'workspaceId'>,
    id: number,
  ): Promise<Explanation> {
    const isStaff = STAFF.includes(caller.role);
    const others = isStaff ? (scopeOf(caller, rules.defaultWorkspaceId) ?? 'all') : 'none';
    const record = await explanations.find(id, { userId: caller.userId, others });
    if (!record) throw new AppError('NOT_FOUND');
    const ruleId = record.hold?.priceRuleId;
    const rule = ruleId ? await prices.rule(ruleId) : undefined;
    const explanation = explanationOf(record, rule);
    return isStaff || record.userId === caller.userId ? explanation : withoutPool(explanation);
  };
