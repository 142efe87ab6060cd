// Accounting as the service document draws it, for comparison alone: Express and models of an ORM, one call to check the balance,
// one to deduct in a transaction, one to log. It promises nothing about crashes or retries.
import express, { type NextFunction, type Request, type Response } from 'express';
import { jwtVerify } from 'jose';
import { DataTypes, Op, Sequelize, type Transaction } from 'sequelize';
import { announce } from './announce.ts';

const POOL = 20;
const GRANT = 100_000_000;
const A_MONTH_MS = 30 * 86_400_000;
const secret = new TextEncoder().encode(process.env['TOKEN_SECRET'] ?? '');
const sequelize = new Sequelize(process.env['DATABASE_URL'] ?? '', { logging: false, pool: { max: POOL } });

const Account = sequelize.define('user_account', {
  id: { type: DataTypes.STRING, primaryKey: true },
  username: DataTypes.STRING,
  role: DataTypes.STRING,
});
const Allocation = sequelize.define(
  'credit_allocation',
  {
    userId: { type: DataTypes.STRING, allowNull: false },
    totalCredits: DataTypes.INTEGER,
    remainingCredits: DataTypes.INTEGER,
    expiresAt: DataTypes.DATE,
  },
  { indexes: [{ fields: ['userId'] }] },
);
const UsageRecord = sequelize.define(
  'usage_record',
  {
    userId: DataTypes.STRING,
    service: DataTypes.STRING,
    operation: DataTypes.STRING,
    credits: DataTypes.INTEGER,
    metadata: DataTypes.JSONB,
  },
  { indexes: [{ fields: ['userId', 'createdAt'] }] },
);

const activeOf = (userId: string, transaction?: Transaction) =>
  Allocation.findAll({
    where: { userId, remainingCredits: { [Op.gt]: 0 }, expiresAt: { [Op.gt]: new Date() } },
    order: [['expiresAt', 'ASC']],
    ...(transaction && { transaction, lock: transaction.LOCK.UPDATE }),
  });
const left = (allocation: { get(name: string): unknown }): number => Number(allocation.get('remainingCredits'));

async function balanceOf(userId: string): Promise<number> {
  return (await activeOf(userId)).reduce((sum, allocation) => sum + left(allocation), 0);
}

async function deduct(userId: string, credits: number): Promise<number> {
  return sequelize.transaction(async (transaction) => {
    let wanted = credits;
    for (const allocation of await activeOf(userId, transaction)) {
      const taken = Math.min(wanted, left(allocation));
      await allocation.update({ remainingCredits: left(allocation) - taken }, { transaction });
      wanted -= taken;
      if (wanted === 0) break;
    }
    if (wanted > 0) throw new Error('insufficient credits');
    return credits;
  });
}

/** Every call looks at the token, and opens the account when it is new. */
async function authenticate({ headers }: Request, response: Response, next: NextFunction): Promise<void> {
  const { payload } = await jwtVerify((headers.authorization ?? '').slice('Bearer '.length), secret);
  const [account, isNew] = await Account.findOrCreate({
    where: { id: payload.sub ?? '' },
    defaults: { id: payload.sub, username: payload['username'], role: payload['role'] },
  });
  if (isNew) {
    const expiresAt = new Date(Date.now() + A_MONTH_MS);
    await Allocation.create({ userId: payload.sub, totalCredits: GRANT, remainingCredits: GRANT, expiresAt });
  }
  response.locals['userId'] = String(account.get('id'));
  next();
}
const userOf = ({ locals }: Response): string => String(locals['userId']);
const bodyOf = ({ body }: Request): { credits: number } => body as { credits: number };

const app = express();
app.use(express.json(), authenticate);
app.post('/api/credits/check', async (request, response) => {
  const credits = await balanceOf(userOf(response));
  response.json({ sufficient: credits >= bodyOf(request).credits, credits });
});
app.post('/api/credits/deduct', async (request, response) => {
  response.json({ deducted: await deduct(userOf(response), bodyOf(request).credits) });
});
app.post('/api/usage/record', async (request, response) => {
  const userId = userOf(response);
  const usage = await UsageRecord.create({ userId, service: 'chat', operation: 'predict', ...bodyOf(request) });
  response.status(201).json({ id: usage.get('id') });
});
await sequelize.sync();
const server = app.listen(0, '127.0.0.1', () => announce(server));
