import type { auth } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { seatOf } from '../../domain/workspace.ts';
import type { Ports } from '../../ports.ts';

type TellDeps = Pick<Ports, 'clock' | 'memberships' | 'workspaces'>;
type Page = Readonly<{ since?: string | undefined; cursor?: string | undefined; limit: number }>;
type Told = Readonly<{ changes: auth.MembershipChange[]; nextCursor: string | null; now: Date }>;

/**
 * What has become of memberships since an instant, for services that keep a copy. An instance whose clock is behind may write
 * a change with an earlier time than one that was told: who asks lets `since` overlap, and keeps the largest version.
 */
export const createTellMemberships = ({ memberships, workspaces, clock }: TellDeps) =>
  async function tellMemberships({ since, cursor, limit }: Page): Promise<Told> {
    const now = new Date(clock.now());
    const after = cursor === undefined ? undefined : readCursor(cursor);
    const from = since === undefined ? undefined : new Date(since);
    const page = await memberships.changes({ since: from, after, limit: limit + 1 });
    const shown = page.slice(0, limit);
    const found = await workspaces.findSome([...new Set(shown.map(({ workspaceId }) => workspaceId))]);
    const byId = new Map(found.map((workspace) => [workspace.id, workspace]));
    const changes = shown.map((membership) => {
      const { workspaceId, userId, version, isActive, changedAt } = membership;
      const workspace = byId.get(workspaceId);
      const role = isActive ? (workspace ? seatOf(workspace, membership).role : membership.role) : null;
      return { workspaceId, userId, role, version, changedAt: changedAt.toISOString() };
    });
    const last = page.length > limit ? shown.at(-1) : undefined;
    return { changes, nextCursor: last ? writeCursor(last.changedAt, last.id) : null, now };
  };

const writeCursor = (at: Date, id: string): string => Buffer.from(`${at.getTime()} ${id}`).toString('base64url');

function readCursor(cursor: string): { at: Date; id: string } {
  const [, time, id] = /^(\d{1,15}) ([\w:-]{1,100})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (time === undefined || id === undefined) throw new AppError('VALIDATION_FAILED', 'This cursor is not valid');
  return { at: new Date(Number(time)), id };
}
