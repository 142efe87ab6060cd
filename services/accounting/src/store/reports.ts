import { Op, QueryTypes } from 'sequelize';
import type { Scope } from '../domain/scope.ts';
import type { AllocationBody, Page, Reports, SessionFilter, TransactionBody } from '../ports.ts';
import { holdOf, type HoldRow } from './hold-rows.ts';
import type { Models } from './models.ts';
import { createUsageGroups } from './usage/usage-groups.ts';
import { createUsageRecords } from './usage/usage-records.ts';
import { createUsageStats } from './usage/usage-stats.ts';

/** Lists for people, through the models. Sequelize gives BIGINT as text. */
export function createReports(models: Models): Reports {
  return {
    usage: createUsageStats(models),
    usageGroups: createUsageGroups(models),
    usageRecords: createUsageRecords(models),
    sessions: (filter) => listSessions(models, filter),
    allocations: (page, within) => listAllocations(models, page, within),
    transactions: (userId, page) => listTransactions(models, userId, page),
  };
}

async function listSessions({ sequelize }: Models, { userId, active, minutes, limit, within }: SessionFilter) {
  const rows = await sequelize.query<{ hold: HoldRow }>(
    `SELECT to_jsonb(s) AS hold FROM streaming_sessions s
     WHERE ($1::text IS NULL OR s.user_id = $1) AND (NOT $2::boolean OR s.status = 'active')
       AND ($3::integer IS NULL OR s.created_at >= (SELECT ledger_now()) - make_interval(mins => $3))
       AND s.price_rule_id IS NOT NULL
       AND ($5::text IS NULL OR ledger.was_within(s.workspace_id, $5, $6))
     ORDER BY s.created_at DESC, s.id LIMIT $4`,
    {
      type: QueryTypes.SELECT,
      bind: [
        userId ?? null,
        active ?? false,
        minutes ?? null,
        limit,
        within?.workspaceId ?? null,
        within?.isDefault ?? false,
      ],
    },
  );
  return rows.map(({ hold }) => holdOf(hold));
}

type AllocationRow = Record<
  'id' | 'totalCredits' | 'remainingCredits' | 'heldCredits' | 'consumedCredits' | 'expiredCredits' | 'revokedCredits',
  string
> & {
  userId: string;
  source: AllocationBody['source'];
  priority: number;
  allocatedBy: string;
  allocatedAt: Date;
  expiresAt: Date | null;
  notes: string | null;
  UserAccount: { username: string | null; email: string | null };
};

async function listAllocations(models: Models, page: Page, within: Scope | undefined) {
  const { CreditAllocation, UserAccount } = models;
  const { limit, after } = page;
  const ids = within && { [Op.in]: await lotsWithin(models, page, within) };
  const rows = await CreditAllocation.findAll({
    ...(after !== undefined && { where: { id: { [Op.lt]: after } } }),
    ...(ids && { where: { id: ids } }),
    include: [{ model: UserAccount, as: 'UserAccount', attributes: ['username', 'email'] }],
    order: [['id', 'DESC']],
    limit,
  });
  return rows.map((row) => allocationOf(row.get({ plain: true }) as AllocationRow)); // the columns of the model
}

/** As `ledger.is_within` judges, but in a way that the database finds the lots of few accounts among those of many. */
const WITHIN_DEFAULT = `user_id NOT LIKE 'ws\\_%' OR user_id = 'ws_' || $1`;
const WITHIN_OTHER = `user_id IN (
  SELECT user_id FROM workspace_members WHERE workspace_id = $1 AND role IS NOT NULL UNION ALL SELECT 'ws_' || $1)`;

/** The ids of one page of lots in a part of the installation. */
async function lotsWithin({ sequelize }: Models, { limit, after }: Page, { workspaceId, isDefault }: Scope) {
  const rows = await sequelize.query<{ id: string }>(
    `SELECT id FROM credit_allocations WHERE ($2::bigint IS NULL OR id < $2) AND (${isDefault ? WITHIN_DEFAULT : WITHIN_OTHER})
     ORDER BY id DESC LIMIT $3`,
    { type: QueryTypes.SELECT, bind: [workspaceId, after ?? null, limit] },
  );
  return rows.map(({ id }) => id);
}

const allocationOf = (row: AllocationRow): AllocationBody => ({
  id: Number(row.id),
  userId: row.userId,
  totalCredits: Number(row.totalCredits),
  credits: Number(row.totalCredits),
  remainingCredits: Number(row.remainingCredits),
  heldCredits: Number(row.heldCredits),
  consumedCredits: Number(row.consumedCredits),
  expiredCredits: Number(row.expiredCredits),
  revokedCredits: Number(row.revokedCredits),
  source: row.source,
  priority: row.priority,
  allocatedBy: row.allocatedBy,
  allocatedAt: row.allocatedAt.toISOString(),
  expiresAt: row.expiresAt?.toISOString() ?? null,
  notes: row.notes,
  UserAccount: { username: row.UserAccount.username, email: row.UserAccount.email },
});

type TransactionRow = Record<
  'id' | 'accountSeq' | 'availableChange' | 'heldChange' | 'debtChange' | 'availableAfter' | 'heldAfter',
  string
> & {
  type: TransactionBody['type'];
  holdId: string | null;
  allocationId: string | null;
  actor: string;
  reason: string | null;
  requestId: string | null;
  createdAt: Date;
  entries: { entryNo: number; account: string; amount: string }[];
};

async function listTransactions({ CreditTransaction, CreditEntry }: Models, userId: string, { limit, after }: Page) {
  const rows = await CreditTransaction.findAll({
    where: { userId, ...(after !== undefined && { accountSeq: { [Op.lt]: after } }) },
    // A query of its own, so that the limit counts transactions and not entries.
    include: [{ model: CreditEntry, as: 'entries', separate: true, order: [['entryNo', 'ASC']] }],
    order: [['accountSeq', 'DESC']],
    limit,
  });
  return rows.map((row) => transactionOf(row.get({ plain: true }) as TransactionRow)); // the columns of the model
}

const transactionOf = (row: TransactionRow): TransactionBody => ({
  id: Number(row.id),
  sequence: Number(row.accountSeq),
  type: row.type,
  availableChange: Number(row.availableChange),
  heldChange: Number(row.heldChange),
  debtChange: Number(row.debtChange),
  availableAfter: Number(row.availableAfter),
  heldAfter: Number(row.heldAfter),
  entries: row.entries.map(({ account, amount }) => ({ account, amount: Number(amount) })),
  holdId: row.holdId,
  allocationId: row.allocationId === null ? null : Number(row.allocationId),
  actor: row.actor,
  reason: row.reason,
  requestId: row.requestId,
  createdAt: row.createdAt.toISOString(),
});
