import { troubleOf } from './postgres.ts';

export type BatchOptions<Item, Result> = Readonly<{
  /** Batches under way at a time, at most. */
  lanes: number;
  /** How long the newest of them must have been under way, in ms, before another goes beside it; 0 when absent. */
  patienceMs?: number;
  mostItems: number;
  /** Calls that wait for a turn; one more is refused at once as if the database were away. */
  mostWaiting: number;
  /** An item that has waited longer for its turn, in ms, is refused as if the database were away. */
  waitMs: number;
  /** Whose lock an item needs. */
  ownerOf: (item: Item) => string;
  /** Owners whose lock a statement of this instance has; shared by those who would find them locked. Its own when absent. */
  underWay?: UnderWay;
  /** Somebody else has that lock; nothing was done. */
  isBusy: (result: Result) => boolean;
  /** Runs the work when all calls that are at hand have been made, so that they go together; at once when absent. */
  soon?: (work: () => void) => void;
}>;

/** Answers in the order of the items. Unless it may wait, an item whose owner is locked is answered as busy. */
export type RunBatch<Item, Result> = (items: readonly Item[], mayWait: boolean) => Promise<readonly Result[]>;

/** Owners that are under way in one queue or another, and what to do when some of them come back. */
export type UnderWay = Readonly<{ owners: Set<string>; whenFree: Set<() => void> }>;

export const createUnderWay = (): UnderWay => ({ owners: new Set(), whenFree: new Set() });

type Waiting<Item, Result> = {
  item: Item;
  owner: string;
  since: number;
  signal: AbortSignal | undefined;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
};

/**
 * Gathers single calls into batches without ever waiting for company: the first call goes at once with those at hand, and what
 * arrives while it is under way forms the next batch, which goes beside one that takes long. When a batch fails, its items run
 * one by one, so that one bad item does not fail its neighbours. Items of an owner who is under way wait for that statement to
 * end, and keep nobody else waiting. Items of one whom somebody else has locked leave the lanes for a queue of their own, where
 * a statement may wait for the lock. An item whose signal says that its caller has gone is refused before it is sent.
 */
export function createBatch<Item, Result>(
  run: RunBatch<Item, Result>,
  options: BatchOptions<Item, Result>,
): (item: Item, signal?: AbortSignal) => Promise<Result> {
  const { lanes, patienceMs = 0, mostItems, mostWaiting, ownerOf, underWay = createUnderWay(), soon = now } = options;
  const line = createLine<Item, Result>(mostItems, underWay);
  /** Of both kinds of queue, those under way included. */
  let open = 0;
  /** Items of busy owners, in the order in which the owners became busy. */
  const aside = new Map<string, Waiting<Item, Result>[]>();
  const turn = createTurn(run, { ...options, setAside });

  function setAside(waiting: Waiting<Item, Result>): void {
    const waitingToo = aside.get(waiting.owner);
    if (waitingToo) return void waitingToo.push(waiting);
    aside.set(waiting.owner, [waiting]);
    sideLanes.start();
  }

  const mainLanes = createLanes(
    lanes,
    () => {
      const batch = line.take();
      if (batch.length === 0) return undefined;
      return async () => {
        await turn(batch, false);
        line.release(batch, mainLanes.start);
      };
    },
    patienceMs,
  );
  underWay.whenFree.add(mainLanes.start);
  const startSoon = onceAtATime(soon, mainLanes.start);

  const served = new Set<string>();
  const sideLanes = createLanes(lanes, () => {
    const owner = aside.keys().find((name) => !served.has(name));
    return owner === undefined ? undefined : () => serve(owner);
  });

  /** One batch of a busy owner; what came meanwhile goes to the end of the line, so that other owners have their turn. */
  async function serve(owner: string): Promise<void> {
    served.add(owner);
    const waiting = aside.get(owner) ?? [];
    await turn(waiting.splice(0, mostItems), true);
    served.delete(owner);
    aside.delete(owner);
    if (waiting.length > 0) aside.set(owner, waiting);
  }

  return async (item, signal) => {
    if (open > mostWaiting) throw tooBusy('too many wait for a turn');
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const waiting = { item, owner: ownerOf(item), signal, resolve, reject, since: performance.now() };
    open += 1;
    if (aside.has(waiting.owner)) setAside(waiting);
    else {
      line.push(waiting);
      startSoon();
    }
    return promise.finally(() => {
      open -= 1;
    });
  };
}

/** Items in their order, of which those are taken whose owners nobody of this instance is at work for; the others keep their places. */
function createLine<Item, Result>(most: number, { owners, whenFree }: UnderWay) {
  let items: Waiting<Item, Result>[] = [];
  return {
    push: (item: Waiting<Item, Result>) => void items.push(item),
    take(): readonly Waiting<Item, Result>[] {
      const taken: Waiting<Item, Result>[] = [];
      const left: Waiting<Item, Result>[] = [];
      for (const item of items) (taken.length < most && !owners.has(item.owner) ? taken : left).push(item);
      if (taken.length > 0) items = left;
      for (const { owner } of taken) owners.add(owner);
      return taken;
    },
    /** The others may start first: who is always ready would keep them waiting for ever. */
    release(taken: readonly Waiting<Item, Result>[], own: () => void): void {
      for (const { owner } of taken) owners.delete(owner);
      for (const start of whenFree) if (start !== own) start();
    },
  };
}

/** However often it is asked for until then. */
function onceAtATime(soon: (work: () => void) => void, work: () => void): () => void {
  let isAskedFor = false;
  return () => {
    if (isAskedFor) return;
    isAskedFor = true;
    soon(() => {
      isAskedFor = false;
      work();
    });
  };
}

const now = (work: () => void): void => work();

/** Does what `next` finds to do, so many things at a time, until it finds nothing; a second thing when the first takes long. */
function createLanes(most: number, next: () => (() => Promise<void>) | undefined, patienceMs = 0) {
  let busy = 0;
  let newest = 0;
  let timer: NodeJS.Timeout | undefined;
  function start(): void {
    while (busy < most) {
      const early = busy === 0 ? 0 : newest + patienceMs - performance.now();
      if (early > 0) {
        timer ??= setTimeout(startLater, early);
        return;
      }
      const work = next();
      if (!work) return;
      busy += 1;
      newest = performance.now();
      void work().finally(() => {
        busy -= 1;
        start();
      });
    }
  }
  function startLater(): void {
    timer = undefined;
    start();
  }
  return { start };
}

type TurnOptions<Item, Result> = Pick<BatchOptions<Item, Result>, 'waitMs' | 'isBusy'> & {
  setAside: (waiting: Waiting<Item, Result>) => void;
};
type Turn<Item, Result> = (batch: readonly Waiting<Item, Result>[], mayWait: boolean) => Promise<void>;

/** Runs one batch and tells each caller its answer; never throws. */
function createTurn<Item, Result>(
  run: RunBatch<Item, Result>,
  { waitMs, isBusy, setAside }: TurnOptions<Item, Result>,
): Turn<Item, Result> {
  async function runBatch(batch: readonly Waiting<Item, Result>[], mayWait: boolean): Promise<void> {
    try {
      const items = batch.map(({ item }) => item);
      const results = await run(items, mayWait);
      for (const [n, waiting] of batch.entries()) {
        const result = results[n];
        if (result === undefined)
          waiting.reject(new Error(`a batch of ${batch.length} was given ${results.length} answers`));
        else if (isBusy(result)) setAside(waiting);
        else waiting.resolve(result);
      }
    } catch (error) {
      await failed(batch, mayWait, error);
    }
  }

  /** A database that is away is away for each of them, and a lock that did not come free for one does not for another. */
  async function failed(batch: readonly Waiting<Item, Result>[], mayWait: boolean, error: unknown): Promise<void> {
    if (batch.length > 1 && mayHelpToRunAlone(error, mayWait))
      await Promise.all(batch.map((waiting) => runBatch([waiting], mayWait)));
    else for (const { reject } of batch) reject(error);
  }

  return async (batch, mayWait) => {
    const oldest = performance.now() - waitMs;
    const timely = batch.filter((waiting) => (waiting.since > oldest && !waiting.signal?.aborted) || refuse(waiting));
    if (timely.length > 0) await runBatch(timely, mayWait);
  };
}

/**
 * A row that the database refuses (and a statement that took too long, 57014) may concern one item, and so does somebody else's
 * lock (55P03) where owners are mixed.
 */
function mayHelpToRunAlone(error: unknown, isOneOwner: boolean): boolean {
  const { code } = Object(error) as { code?: unknown };
  if (code === '55P03') return !isOneOwner;
  return code === '57014' || troubleOf(error) === undefined;
}

/** PostgreSQL's "too many connections": like it, a state that passes. */
const TOO_BUSY = '53300';

function refuse<Item, Result>({ reject, signal }: Waiting<Item, Result>): false {
  reject(tooBusy(signal?.aborted ? 'its caller has gone' : 'waited too long for a turn'));
  return false;
}

const tooBusy = (reason: string): Error => Object.assign(new Error(reason), { code: TOO_BUSY });
