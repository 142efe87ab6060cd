import { AppError } from '@tollgate/http-kit';
import type { AuditLine } from '../../domain/audit-line.ts';
import type { AuditFilter, AuditPorts, AuditPosition } from '../../ports/audit.ts';

/** One page of the log, newest first, and the cursor of the next. A cursor is a place, so it opens nothing. */
export const createSearchAudit = ({ auditLog }: Pick<AuditPorts, 'auditLog'>) =>
  async function searchAudit(
    filter: AuditFilter,
    { limit, cursor }: { limit: number; cursor?: string | undefined },
  ): Promise<{ lines: AuditLine[]; nextCursor: string | null }> {
    const after = cursor === undefined ? undefined : positionOf(cursor);
    const found = await auditLog.search(filter, { after, limit: limit + 1 });
    const lines = found.slice(0, limit);
    const last = found.length > limit ? lines.at(-1) : undefined;
    return { lines, nextCursor: last ? cursorOf(last) : null };
  };

const cursorOf = ({ at, chain, seq }: AuditPosition): string => `${at.getTime()}.${seq}.${chain}`;

function positionOf(cursor: string): AuditPosition {
  const [, at, seq, chain] = /^(\d{1,15})\.(\d{1,15})\.([\w.:-]{1,64})$/.exec(cursor) ?? [];
  if (chain === undefined) throw new AppError('VALIDATION_FAILED', 'This cursor is not valid');
  return { at: new Date(Number(at)), chain, seq: Number(seq) };
}
