import { AppError } from '@tollgate/http-kit';
import { type Revocation, TOLD_FOR_MS } from '../../domain/revocation.ts';
import type { Ports } from '../../ports.ts';
import type { Place } from '../../ports/revocations.ts';

type ReadDeps = Pick<Ports, 'clock' | 'revocations'>;
type Page = { revocations: Revocation[]; nextCursor: string | null; now: number };

const PAGE = 1000;

/** What other services follow: which access tokens count no longer. Older entries speak of tokens that have expired. */
export const createReadRevocations = ({ clock, revocations }: ReadDeps) =>
  async function readRevocations(since: number, cursor: string | undefined): Promise<Page> {
    // Read before the entries are: whatever is written meanwhile is younger, and is told the next time.
    const now = clock.now();
    const oldest = { madeAt: Math.max(since, now - TOLD_FOR_MS), id: '' };
    const page = await revocations.list(cursor === undefined ? oldest : placeOf(cursor), PAGE);
    const last = page.at(-1);
    return { revocations: page, nextCursor: last && page.length === PAGE ? `${last.madeAt}:${last.id}` : null, now };
  };

function placeOf(cursor: string): Place {
  const [, madeAt, id] = /^(\d{1,15}):(.{1,256})$/.exec(cursor) ?? [];
  if (madeAt === undefined || id === undefined) throw new AppError('VALIDATION_FAILED', 'This cursor is not valid');
  return { madeAt: Number(madeAt), id };
}
