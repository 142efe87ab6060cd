export interface GatherOptions<Item, Result> {
  /** One outcome for each item, in their order. What it throws every item meets. */
  readonly run: (items: readonly Item[]) => Promise<readonly PromiseSettledResult<Result>[]>;
  /** So many go at once, whatever is under way. */
  readonly mostItems: number;
  /** Milliseconds that an item waits for the answer to those before it. */
  readonly patienceMs: number;
  /**
   * While no more items than these are under way, nobody waits for their answers: company would cost more time than it saves.
   * 0 when absent.
   */
  readonly fewUnderWay?: number;
  /**
   * One that finds nothing under way does not even wait for the others of its turn of the event loop; unless the last one had
   * company, because then the next is hardly alone, either.
   */
  readonly isUrgent?: boolean;
  /** Nobody waits for the answers: also the first one waits that long for company. */
  readonly isPatient?: boolean;
}

interface Waiting<Item, Result> extends PromiseWithResolvers<Result> {
  readonly item: Item;
}

/**
 * Gathers single calls into batches: those at hand go at once, and what arrives while they are under way forms the next batch.
 * One that takes long holds nobody up: the next then goes beside it.
 */
export function createGather<Item, Result>(options: GatherOptions<Item, Result>): (item: Item) => Promise<Result> {
  const { run, mostItems, patienceMs, fewUnderWay = 0, isPatient = false, isUrgent = false } = options;
  /** Never as many as fill a batch. */
  const queue: Waiting<Item, Result>[] = [];
  /** Items. */
  let underWay = 0;
  let hadCompany = false;
  let timer: NodeJS.Timeout | undefined;
  let turn: NodeJS.Immediate | undefined;

  /** Whoever is woken by the same answers as the first calls in the same turn of the event loop. */
  function sendSoon(): void {
    turn ??= setImmediate(send);
  }

  function send(): void {
    clearTimeout(timer);
    clearImmediate(turn);
    timer = undefined;
    turn = undefined;
    const batch = queue.splice(0, mostItems);
    if (batch.length === 0) return;
    underWay += batch.length;
    hadCompany = batch.length > 1;
    void answer(batch, run).finally(() => {
      underWay -= batch.length;
      if (queue.length > 0 && !isPatient) sendSoon();
    });
  }

  return (item) => {
    const waiting = { item, ...Promise.withResolvers<Result>() };
    queue.push(waiting);
    const isAlone = underWay === 0 && turn === undefined && !hadCompany;
    if (queue.length >= mostItems || (isUrgent && isAlone)) send();
    else if (!isPatient && underWay <= fewUnderWay) sendSoon();
    else timer ??= setTimeout(send, patienceMs);
    return waiting.promise;
  };
}

/** Never throws. */
async function answer<Item, Result>(
  batch: readonly Waiting<Item, Result>[],
  run: GatherOptions<Item, Result>['run'],
): Promise<void> {
  try {
    const outcomes = await run(batch.map(({ item }) => item));
    for (const [at, { resolve, reject }] of batch.entries()) {
      const outcome = outcomes[at];
      if (outcome?.status === 'fulfilled') resolve(outcome.value);
      else reject(outcome ? outcome.reason : new Error(`a batch of ${batch.length} had ${outcomes.length} outcomes`));
    }
  } catch (error) {
    for (const { reject } of batch) reject(error);
  }
}
