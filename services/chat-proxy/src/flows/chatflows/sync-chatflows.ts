import { wireCode } from '@tollgate/contracts';
import { AppError, toAppError } from '@tollgate/http-kit';
import type { Chatflow } from '../../domain/chatflow.ts';
import type { Tell } from '../../domain/facts.ts';
import type { Catalogue, Chatflows, Clock, FoundChatflow } from '../../ports.ts';

const MOST_ERROR_DETAILS = 20;

export interface SyncReport {
  readonly fetched: number;
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
  readonly errors: readonly string[];
}

export interface SyncDeps {
  readonly catalogues: readonly Catalogue[];
  readonly chatflows: Pick<Chatflows, 'list' | 'save' | 'markDeleted'>;
  readonly clock: Clock;
  readonly tell: Tell;
  /** Percent of an upstream's chatflows that one synchronisation may delete. */
  readonly mostDeletedPercent: number;
}

export interface SyncOptions {
  readonly allowMassDeletion?: boolean;
  /** Nobody can be asked: an upstream that would lose too much is left as it is, and the others are brought up to date. */
  readonly isUnattended?: boolean;
}

/**
 * Brings the chatflows up to date with the upstreams. An upstream that cannot be read, or that was taken out of the
 * configuration, keeps what it has. One that suddenly lists next to nothing is more likely broken than empty: then nothing is
 * changed (T-P21).
 */
export const createSyncChatflows = (deps: SyncDeps) =>
  async function syncChatflows(options: SyncOptions = {}): Promise<SyncReport> {
    // Before anybody is asked: of two synchronisations at once the one that began later counts.
    const at = new Date(deps.clock.now());
    const known = await deps.chatflows.list({ includeDeleted: false });
    const plans = await makePlans(deps, known, options.allowMassDeletion ?? false);
    const refused = plans.filter(({ isRefused }) => isRefused);
    if (refused.length > 0) {
      const lost = refused.reduce((sum, { gone }) => sum + gone.length, 0);
      deps.tell('chatflows_synchronised', { outcome: 'refused', created: 0, updated: 0, deleted: lost, errors: 0 });
      if (!options.isUnattended) throw new AppError('SYNC_REFUSED', refused.map(({ problem }) => problem).join('; '));
    }

    const errors = plans.flatMap(({ problem }) => problem ?? []);
    const report = { fetched: 0, created: 0, updated: 0, deleted: 0 };
    for (const { rows, gone, problem } of plans) {
      if (problem !== undefined) continue;
      report.fetched += rows.length;
      for (const row of rows) await saveOne(row);
      const ids = gone.map(({ id }) => id);
      if (ids.length > 0) await deps.chatflows.markDeleted(ids, at);
      report.deleted += ids.length;
    }
    deps.tell('chatflows_synchronised', { ...report, outcome: 'done', errors: errors.length });
    return { ...report, errors: errors.slice(0, MOST_ERROR_DETAILS) };

    async function saveOne(row: FoundChatflow): Promise<void> {
      try {
        const change = await deps.chatflows.save(row, at);
        if (change !== 'unchanged') report[change] += 1;
      } catch (error) {
        // One row the database will not take must not keep the others out; an absent database ends the whole.
        if (error instanceof AppError && error.status === 503) throw error;
        errors.push(`${row.id}: could not be saved`);
      }
    }
  };

/** What is to be done about one upstream. */
interface Plan {
  readonly rows: readonly FoundChatflow[];
  readonly gone: readonly Chatflow[];
  /** Why nothing is done about it. */
  readonly problem?: string;
  readonly isRefused?: boolean;
}

async function makePlans(
  { catalogues, mostDeletedPercent }: SyncDeps,
  known: readonly Chatflow[],
  allowMassDeletion: boolean,
): Promise<Plan[]> {
  const listings = await Promise.allSettled(catalogues.map((catalogue) => catalogue.list()));
  const [failed] = listings.filter((listing) => listing.status === 'rejected');
  if (failed && listings.every(({ status }) => status === 'rejected')) throw failed.reason as Error;

  // An id that several upstreams have is the first one's, also while that one is silent.
  const silent = new Set(
    catalogues.flatMap(({ upstream }, at) => (listings[at]?.status === 'rejected' ? [upstream] : [])),
  );
  const taken = new Set(known.filter(({ upstream }) => silent.has(upstream)).map(({ id }) => id));
  const own = listings.map((listing) =>
    listing.status === 'fulfilled' ? listing.value.filter(({ id }) => taken.size < taken.add(id).size) : [],
  );
  const configured = new Set(catalogues.map(({ upstream }) => upstream));
  const left = Map.groupBy(
    known.filter(({ upstream, id }) => !configured.has(upstream) && !taken.has(id)),
    ({ upstream }) => upstream,
  );
  return [...catalogues.map(planOf), ...[...left].map(([upstream, gone]) => leftOver(upstream, gone))];

  /** Each upstream's share counts by itself. */
  function planOf({ upstream }: Catalogue, index: number): Plan {
    const listing = listings[index];
    if (listing?.status !== 'fulfilled') {
      const problem = `${upstream}: could not be listed (${wireCode(toAppError(listing?.reason).code)})`;
      return { rows: [], gone: [], problem };
    }
    const rows = own[index] ?? [];
    const mine = known.filter((chatflow) => chatflow.upstream === upstream);
    const gone = mine.filter(({ id }) => !taken.has(id));
    if (allowMassDeletion || gone.length * 100 <= mine.length * mostDeletedPercent) return { rows, gone };
    const problem = `${gone.length} of ${mine.length} chatflows of ${upstream} would be deleted`;
    return { rows, gone, problem, isRefused: true };
  }

  function leftOver(upstream: string, gone: readonly Chatflow[]): Plan {
    if (allowMassDeletion) return { rows: [], gone };
    const problem = `${upstream}: is not configured any more; its ${gone.length} chatflows stay until a mass deletion is allowed`;
    return { rows: [], gone, problem };
  }
}
