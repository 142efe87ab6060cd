import { CommandError } from './errors.ts';
import type { Reply, Session } from './request.ts';
import type { Runner, Store } from './store.ts';
import { noSuchTransaction, openTransaction } from './transaction.ts';
import type { Transaction } from './transaction.ts';

/** MongoDB's transactionLifetimeLimitSeconds, counted here from the last command. */
const IDLE_LIMIT_MS = 60_000;
const SWEEP_MS = 5_000;
const SESSIONS_KEPT = 10_000;

export type Sessions = {
  /** Runs one command inside the session's transaction, which it opens when the command says so; a failure ends it. */
  run(session: Session, connection: number, act: (runner: Runner) => Promise<Reply>): Promise<Reply>;
  commit(session: Session): Promise<void>;
  abort(session: Session): Promise<void>;
  /** Rolls back what these sessions have open. */
  end(ids: string[]): Promise<void>;
  /** Rolls back transactions whose every connection is closed. */
  forgetConnection(connection: number): Promise<void>;
  close(): Promise<void>;
};

/** The transactions of all sessions, of which each has one at a time. */
export function createSessions(store: Store): Sessions {
  const transactions = new Map<string, Transaction>();

  const start = async (session: Session, number: bigint): Promise<Transaction> => {
    const earlier = transactions.get(session.id);
    if (earlier && earlier.number >= number) {
      throw new CommandError('TransactionTooOld', 'The transaction was started before');
    }
    await earlier?.rollBack();
    const transaction = await openTransaction(store, number);
    transactions.delete(session.id);
    transactions.set(session.id, transaction);
    forgetOldest(transactions);
    return transaction;
  };

  const find = (session: Session): Transaction => {
    const transaction = transactions.get(session.id);
    if (!transaction || transaction.number !== session.txnNumber) throw noSuchTransaction(session.txnNumber);
    return transaction;
  };

  const sweep = setInterval(() => {
    for (const each of transactions.values()) if (each.idleMs > IDLE_LIMIT_MS) void each.rollBack();
  }, SWEEP_MS);

  return {
    run: async (session, connection, act) => {
      if (session.txnNumber === undefined) throw new CommandError('InvalidOptions', 'A transaction needs a txnNumber');
      const transaction = session.startsTransaction ? await start(session, session.txnNumber) : find(session);
      return transaction.run(connection, act);
    },
    commit: async (session) => find(session).commit(),
    abort: async (session) => {
      const transaction = find(session);
      if (transaction.state === 'committed') {
        throw new CommandError('TransactionCommitted', 'The transaction is committed');
      }
      await transaction.rollBack();
    },
    end: async (ids) => {
      await Promise.all(ids.flatMap((id) => transactions.get(id)?.rollBack() ?? []));
      for (const id of ids) transactions.delete(id);
    },
    forgetConnection: async (connection) => {
      await Promise.all([...transactions.values()].map((each) => each.leave(connection)));
    },
    close: async () => {
      clearInterval(sweep);
      await Promise.all([...transactions.values()].map((each) => each.rollBack()));
    },
  };
}

/** Ended transactions are kept so that a repeated commit gets the same answer, but not for ever. */
function forgetOldest(transactions: Map<string, Transaction>): void {
  if (transactions.size <= SESSIONS_KEPT) return;
  for (const [id, transaction] of transactions) {
    if (transaction.state === 'open') continue;
    transactions.delete(id);
    return;
  }
}
