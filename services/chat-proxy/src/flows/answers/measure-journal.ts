import type { Clock, Journal } from '../../ports.ts';

export interface JournalFigures {
  readonly rows: number;
  /** How long the lease of a row has been over, of the one for which it is longest: nobody has taken it over. */
  readonly overdueMs: number;
}

export interface MeasuredJournal {
  /** As they were last read. */
  readonly figures: JournalFigures;
  read(): Promise<void>;
}

/** What the processes of this service owe accounting, for those who watch. */
export function createMeasureJournal({
  journal,
  clock,
}: {
  journal: Pick<Journal, 'count' | 'firstLeaseEnd'>;
  clock: Clock;
}): MeasuredJournal {
  let figures: JournalFigures = { rows: 0, overdueMs: 0 };
  return {
    get figures() {
      return figures;
    },
    async read() {
      const [rows, firstEnd] = await Promise.all([journal.count(), journal.firstLeaseEnd()]);
      figures = { rows, overdueMs: firstEnd ? Math.max(0, clock.now() - firstEnd.getTime()) : 0 };
    },
  };
}
