import { setTimeout as pause } from 'node:timers/promises';
import { AppError, unavailable } from '@tollgate/http-kit';
import { isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import type { ChainEnd, LineDraft, LineKeys } from '../../domain/audit-line.ts';
import { AUDIT_COLLECTION, type AuditRow, rowOf, type Rows } from './audit-rows.ts';

type Waiting = Readonly<{ draft: LineDraft; written: () => void; failed: (error: unknown) => void }>;
type Store = Pick<Mongo, 'collection' | 'run'>;
type Queue = { readonly waiting: Waiting[] };

const MOST_AT_ONCE = 200;
/** Of all chains together; beyond, a line would come too late for the request that waits for it. */
const MOST_WAITING = 10_000;
const MOST_TRIES = 50;
const LONGEST_PAUSE_MS = 40;
const MOST_KNOWN_ENDS = 1000;
const RETRY_AFTER_SECONDS = 2;

/**
 * Adds lines to the end of their chains. A line's place is its `_id`, so the database gives it to one process only; who comes
 * second looks where the chain ends now and tries again. Lines of one process wait in a queue per chain and are written
 * together: with n instances, n batches compete for a place and not hundreds of requests.
 */
export function createAppend({ collection, run }: Store, keys: LineKeys): (draft: LineDraft) => Promise<void> {
  const rows = (): Rows => collection<AuditRow>(AUDIT_COLLECTION);
  const queues = new Map<string, Queue>();
  const ends = new Map<string, ChainEnd>();
  let waitingInAll = 0;

  function append(draft: LineDraft): Promise<void> {
    if (waitingInAll >= MOST_WAITING) return Promise.reject(unavailable('DEPENDENCY_UNAVAILABLE', RETRY_AFTER_SECONDS));
    const queue = queues.get(draft.chain) ?? { waiting: [] };
    const { promise, resolve: written, reject: failed } = Promise.withResolvers<void>();
    waitingInAll += 1;
    queue.waiting.push({ draft, written, failed });
    if (!queues.has(draft.chain)) {
      queues.set(draft.chain, queue);
      void drain(draft.chain, queue);
    }
    return promise;
  }

  async function drain(chain: string, queue: Queue): Promise<void> {
    while (queue.waiting.length > 0) {
      const batch = queue.waiting.splice(0, MOST_AT_ONCE);
      const lost = await write(chain, batch);
      for (const { failed } of lost.batch) failed(lost.reason);
      waitingInAll -= batch.length;
    }
    queues.delete(chain);
  }

  /** What could not be written, and why. */
  async function write(
    chain: string,
    given: readonly Waiting[],
  ): Promise<{ batch: readonly Waiting[]; reason: unknown }> {
    let batch = given;
    let reason: unknown;
    for (let tries = 0; tries < MOST_TRIES && batch.length > 0; tries += 1) {
      if (tries > 0) await pause(Math.random() * LONGEST_PAUSE_MS);
      try {
        batch = await writeOnce(chain, batch);
      } catch (error) {
        return { batch, reason: error };
      }
    }
    reason ??= new AppError('DEPENDENCY_UNAVAILABLE', `the audit chain ${chain} was too busy`);
    return { batch, reason };
  }

  async function writeOnce(chain: string, batch: readonly Waiting[]): Promise<readonly Waiting[]> {
    const drafts = batch.map(({ draft }) => draft);
    const lines = keys.seal(drafts, ends.get(chain) ?? (await run(() => endOf(rows(), chain))));
    let fault: unknown;
    try {
      await run(() => rows().insertMany(lines.map(rowOf), { ordered: true, writeConcern: { w: 'majority' } }));
      remember(lines.at(-1));
      for (const { written } of batch) written();
      return [];
    } catch (error) {
      fault = error;
    }
    // How much of it was stored is only known by looking: a part may be, and an answer may have been lost.
    ends.delete(chain);
    const stored = await run(() => storedAmong(rows(), drafts));
    for (const { draft, written } of batch) if (stored.has(draft.eventId)) written();
    const open = batch.filter(({ draft }) => !stored.has(draft.eventId));
    if (open.length > 0 && !isDuplicate(fault)) throw fault;
    return open;
  }

  function remember(end: ChainEnd | undefined): void {
    if (ends.size >= MOST_KNOWN_ENDS) ends.clear();
    if (end) ends.set(end.chain, { chain: end.chain, seq: end.seq, hash: end.hash });
  }
  return append;
}

export async function endOf(rows: Rows, chain: string): Promise<ChainEnd> {
  const last = await rows.findOne({ chain }, { sort: { seq: -1 }, projection: { seq: 1, hash: 1 } });
  return { chain, seq: last?.seq ?? 0, hash: last?.hash ?? '' };
}

async function storedAmong(rows: Rows, drafts: readonly LineDraft[]): Promise<ReadonlySet<string>> {
  const eventIds = drafts.map(({ eventId }) => eventId);
  const found = await rows
    .find<Pick<AuditRow, 'eventId'>>({ eventId: { $in: eventIds } }, { projection: { eventId: 1 } })
    .toArray();
  return new Set(found.map(({ eventId }) => eventId));
}
