import { AppError } from '@tollgate/http-kit';
import type { Catalogue, Chatflows, Clock, FoundChatflow } from '../../ports.ts';
import type { Tell } from '../../domain/facts.ts';

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

/**
 * Brings the chatflows up to date with the upstreams. An upstream that suddenly lists next to nothing is more likely broken
 * than empty: then nothing of it is changed (T-P21).
 */
export const createSyncChatflows = (deps: SyncDeps) =>
  async function syncChatflows({ allowMassDeletion = false } = {}): Promise<SyncReport> {
    const known = await deps.chatflows.list({ includeDeleted: false });
    const { found, silent } = await listAll(deps.catalogues);
    const errors = silent.map((upstream) => `${upstream}: could not be listed`);
    const report = { fetched: 0, created: 0, updated: 0, deleted: 0 };
    // A name that several upstreams have is the first one's, also while that one is silent.
    const ids = new Set(known.filter(({ upstream }) => silent.includes(upstream)).map(({ id }) => id));
    const own = found.map(({ upstream, rows }) => ({
      upstream,
      rows: rows.filter(({ id }) => ids.size < ids.add(id).size),
    }));

    const plans = own.map(({ upstream, rows }) => {
      const mine = known.filter((chatflow) => chatflow.upstream === upstream);
      const gone = mine.filter(({ id }) => !ids.has(id)).map(({ id }) => id);
      if (!allowMassDeletion && gone.length * 100 > mine.length * deps.mostDeletedPercent) {
        deps.tell('chatflows_synchronised', {
          outcome: 'refused',
          created: 0,
          updated: 0,
          deleted: gone.length,
          errors: 0,
        });
        throw new AppError(
          'SYNC_REFUSED',
          `${gone.length} of ${mine.length} chatflows of ${upstream} would be deleted`,
        );
      }
      return { rows, gone };
    });

    const at = new Date(deps.clock.now());
    for (const { rows, gone } of plans) {
      report.fetched += rows.length;
      for (const row of rows) await saveOne(row);
      if (gone.length > 0) await deps.chatflows.markDeleted(gone, at);
      report.deleted += gone.length;
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

/** What the upstreams list. A silent one leaves its chatflows as they are; when none answers, that is the failure. */
async function listAll(catalogues: readonly Catalogue[]) {
  const listed = await Promise.all(
    catalogues.map(async (catalogue) => {
      try {
        return { upstream: catalogue.upstream, rows: await catalogue.list() };
      } catch (error) {
        return { upstream: catalogue.upstream, error };
      }
    }),
  );
  const found = listed.flatMap(({ upstream, rows }) => (rows ? [{ upstream, rows }] : []));
  const failed = listed.filter(({ rows }) => !rows);
  if (failed[0] && found.length === 0) throw failed[0].error;
  return { found, silent: failed.map(({ upstream }) => upstream) };
}
