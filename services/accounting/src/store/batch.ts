import { troubleOf } from './postgres.ts';

export type BatchOptions = Readonly<{
  /** Batches under way at a time. */
  lanes: number;
  mostItems: number;
  /** An item that has waited longer for its turn, in ms, is refused as if the database were away. */
  waitMs: number;
}>;

type Waiting<Item, Result> = {
  item: Item;
  since: number;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
};

/**
 * Gathers single calls into batches without ever waiting for company: the first call goes at once, and what arrives while all
 * lanes are busy forms the next batch. `run` answers in the order of its items. When it fails, its items run one by one, so that
 * one bad item does not fail its neighbours.
 */
export function createBatch<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  { lanes, mostItems, waitMs }: BatchOptions,
): (item: Item) => Promise<Result> {
  const queue: Waiting<Item, Result>[] = [];
  let busy = 0;

  function startLanes(): void {
    while (busy < lanes && queue.length > 0) {
      busy += 1;
      void runNext().finally(() => {
        busy -= 1;
        startLanes();
      });
    }
  }

  async function runNext(): Promise<void> {
    const oldest = performance.now() - waitMs;
    const batch = queue.splice(0, mostItems).filter((waiting) => waiting.since > oldest || refuse(waiting));
    if (batch.length > 0) await runBatch(batch);
  }

  async function runBatch(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await run(batch.map(({ item }) => item));
      for (const [n, { resolve, reject }] of batch.entries()) {
        const result = results[n];
        if (result === undefined) reject(new Error(`a batch of ${batch.length} was given ${results.length} answers`));
        else resolve(result);
      }
    } catch (error) {
      await failed(batch, error);
    }
  }

  /** A database that is away is away for each of them. */
  async function failed(batch: readonly Waiting<Item, Result>[], error: unknown): Promise<void> {
    if (batch.length > 1 && mayHelpToRunAlone(error)) await Promise.all(batch.map((waiting) => runBatch([waiting])));
    else for (const { reject } of batch) reject(error);
  }

  return (item) =>
    new Promise<Result>((resolve, reject) => {
      queue.push({ item, resolve, reject, since: performance.now() });
      startLanes();
    });
}

/** Somebody else's lock (55P03, 57014) and a row that the database refuses concern one item. */
function mayHelpToRunAlone(error: unknown): boolean {
  const { code } = Object(error) as { code?: unknown };
  return code === '55P03' || code === '57014' || troubleOf(error) === undefined;
}

/** PostgreSQL's "too many connections": like it, a state that passes. */
const TOO_BUSY = '53300';

function refuse<Item, Result>({ reject }: Waiting<Item, Result>): false {
  reject(Object.assign(new Error('waited too long for a turn'), { code: TOO_BUSY }));
  return false;
}
