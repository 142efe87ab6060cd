import pg from 'pg';
import { Connection } from './connection.ts';
import type { PoolState } from './postgres.ts';
import { DataTypes, type ModelAttributes, Sequelize } from 'sequelize';

const USER_ACCOUNT = {
  id: { type: DataTypes.TEXT, primaryKey: true },
  username: DataTypes.TEXT,
  email: DataTypes.TEXT,
  role: DataTypes.TEXT,
  totalCredits: DataTypes.BIGINT,
  heldCredits: DataTypes.BIGINT,
  debtCredits: DataTypes.BIGINT,
  createdAt: DataTypes.DATE,
  updatedAt: DataTypes.DATE,
} satisfies ModelAttributes;

const CREDIT_ALLOCATION = {
  id: { type: DataTypes.BIGINT, primaryKey: true },
  userId: DataTypes.TEXT,
  source: DataTypes.TEXT,
  priority: DataTypes.INTEGER,
  totalCredits: DataTypes.BIGINT,
  remainingCredits: DataTypes.BIGINT,
  heldCredits: DataTypes.BIGINT,
  consumedCredits: DataTypes.BIGINT,
  expiredCredits: DataTypes.BIGINT,
  revokedCredits: DataTypes.BIGINT,
  effectiveAt: DataTypes.DATE,
  expiresAt: DataTypes.DATE,
  allocatedBy: DataTypes.TEXT,
  notes: DataTypes.TEXT,
  allocatedAt: DataTypes.DATE,
  voidedAt: DataTypes.DATE,
} satisfies ModelAttributes;

const CREDIT_TRANSACTION = {
  id: { type: DataTypes.BIGINT, primaryKey: true },
  userId: DataTypes.TEXT,
  accountSeq: DataTypes.BIGINT,
  type: DataTypes.TEXT,
  availableChange: DataTypes.BIGINT,
  heldChange: DataTypes.BIGINT,
  debtChange: DataTypes.BIGINT,
  availableAfter: DataTypes.BIGINT,
  heldAfter: DataTypes.BIGINT,
  holdId: DataTypes.UUID,
  allocationId: DataTypes.BIGINT,
  actor: DataTypes.TEXT,
  reason: DataTypes.TEXT,
  requestId: DataTypes.TEXT,
  createdAt: DataTypes.DATE,
} satisfies ModelAttributes;

const CREDIT_ENTRY = {
  transactionId: { type: DataTypes.BIGINT, primaryKey: true },
  entryNo: { type: DataTypes.SMALLINT, primaryKey: true },
  account: DataTypes.TEXT,
  amount: DataTypes.BIGINT,
} satisfies ModelAttributes;

type ModelsOptions = Readonly<{
  url: string;
  poolSize: number;
  acquireMs: number;
  /** A pooler stands between: the role has these limits, or nobody (docs/scaling.md). */
  isPooled?: boolean;
}>;

const STATEMENT_TIMEOUT_MS = 3000;
const LOCK_TIMEOUT_MS = 1500;
const IDLE_MS = 10_000;
const OF_THE_CONNECTION = {
  statement_timeout: STATEMENT_TIMEOUT_MS,
  lock_timeout: LOCK_TIMEOUT_MS,
  idle_in_transaction_session_timeout: IDLE_MS,
  // One core for a report, the others belong to money; and room for the sums of every user.
  options: '-c max_parallel_workers_per_gather=0 -c work_mem=32MB',
};

/**
 * The tables as Sequelize models, for lists and reports alone: decisions about money are functions of the database (migrations/).
 * The schema comes from the migrations; nothing is ever synchronised from here.
 */
export function openModels({ url, poolSize, acquireMs, isPooled = false }: ModelsOptions) {
  const sequelize = new Sequelize(url, {
    dialect: 'postgres',
    dialectModule: { ...pg, Client: Connection },
    logging: false,
    pool: { max: poolSize, acquire: acquireMs, idle: IDLE_MS },
    dialectOptions: {
      ...(!isPooled && OF_THE_CONNECTION),
      query_timeout: STATEMENT_TIMEOUT_MS + 1000,
      application_name: 'tollgate-accounting-reports',
    },
    define: { timestamps: false, underscored: true },
  });
  const model = (name: string, tableName: string, attributes: ModelAttributes) =>
    sequelize.define(name, attributes, { tableName });

  const UserAccount = model('UserAccount', 'user_accounts', USER_ACCOUNT);
  const CreditAllocation = model('CreditAllocation', 'credit_allocations', CREDIT_ALLOCATION);
  const CreditTransaction = model('CreditTransaction', 'credit_transactions', CREDIT_TRANSACTION);
  const CreditEntry = model('CreditEntry', 'credit_entries', CREDIT_ENTRY);

  CreditAllocation.belongsTo(UserAccount, { as: 'UserAccount', foreignKey: 'userId' });
  CreditTransaction.hasMany(CreditEntry, { as: 'entries', foreignKey: 'transactionId' });
  return {
    sequelize,
    UserAccount,
    CreditAllocation,
    CreditTransaction,
    CreditEntry,
    /** How many connections there are and what waits for one. */
    pools: () => [poolOf(sequelize)],
  };
}

/** Its types do not have the pool. */
function poolOf({ connectionManager }: Sequelize): PoolState {
  const { size, available, waiting } = (connectionManager as unknown as { pool: Record<string, number> }).pool;
  return { pool: 'lists', open: size ?? 0, free: available ?? 0, waiting: waiting ?? 0 };
}

export type Models = ReturnType<typeof openModels>;
