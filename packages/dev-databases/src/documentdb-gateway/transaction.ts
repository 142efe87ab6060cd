import { CommandError } from './errors.ts';
import type { Reply } from './request.ts';
import type { Runner, Store } from './store.ts';

/** One multi-document transaction: a PostgreSQL connection with a repeatable-read transaction on it. */
export type Transaction = {
  readonly number: bigint;
  readonly state: 'open' | 'committed' | 'aborted';
  readonly idleMs: number;
  /** Runs one command in it, after those that came before; a command that fails ends it. */
  run(connection: number, act: (runner: Runner) => Promise<Reply>): Promise<Reply>;
  /** May be repeated. */
  commit(): Promise<void>;
  rollBack(): Promise<void>;
  /** Rolls back when this was the last connection that used it: a driver may send each command through another one. */
  leave(connection: number): Promise<void>;
};

export async function openTransaction(store: Store, number: bigint): Promise<Transaction> {
  const pinned = await store.begin();
  const connections = new Set<number>();
  let state: Transaction['state'] = 'open';
  let lastUsed = performance.now();
  let queue: Promise<unknown> = Promise.resolve();

  const inOrder = <T>(act: () => Promise<T>): Promise<T> => {
    const turn = queue.then(act);
    queue = turn.catch(() => undefined);
    return turn;
  };
  const end = async (): Promise<void> => {
    state = 'aborted';
    await pinned.rollback();
  };
  const rollBack = () => inOrder(async () => (state === 'open' ? end() : undefined));

  return {
    number,
    get state() {
      return state;
    },
    get idleMs() {
      return performance.now() - lastUsed;
    },
    run: (connection, act) => {
      connections.add(connection);
      return inOrder(async () => {
        lastUsed = performance.now();
        if (state !== 'open') throw noSuchTransaction(number);
        const reply = await act(pinned).catch(async (error: unknown) => {
          await end();
          throw error;
        });
        if (reply.hasWriteErrors) await end();
        return reply;
      });
    },
    commit: () =>
      inOrder(async () => {
        if (state === 'committed') return;
        if (state === 'aborted') throw noSuchTransaction(number);
        state = 'aborted';
        if (!(await pinned.commit())) throw noSuchTransaction(number);
        state = 'committed';
      }),
    rollBack,
    leave: async (connection) => {
      if (connections.delete(connection) && connections.size === 0) await rollBack();
    },
  };
}

export const noSuchTransaction = (number: bigint | undefined) =>
  new CommandError('NoSuchTransaction', `Transaction ${number ?? ''} has ended or was never started`);
