import type { WorkspacePermission, WorkspaceRole } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import { mayInWorkspace, type Workspace } from '../../domain/workspace.ts';
import type { Ports } from '../../ports.ts';
import type { Places } from './places.ts';

export type PermissionDeps = Pick<Ports, 'workspaces'> & { places: Places; defaultWorkspaceId: string };

/** The workspace, and what the caller is in it; an administrator of the installation counts as one of the workspace. */
type Admitted = Readonly<{ workspace: Workspace; role: WorkspaceRole; isPlatformAdmin: boolean }>;

/** What a disabled workspace still allows. */
const READS: ReadonlySet<WorkspacePermission> = new Set(['workspace:read', 'members:read']);

/**
 * The one place that asks what a caller may do in a workspace. It looks at the membership as it is stored now, not at the
 * token. Whoever is no member is told what is told of a workspace that does not exist.
 */
export async function requirePermission(
  { workspaces, places, defaultWorkspaceId }: PermissionDeps,
  caller: Pick<UserCaller, 'userId' | 'role'>,
  workspaceId: string,
  permission: WorkspacePermission,
): Promise<Admitted> {
  if (workspaceId === defaultWorkspaceId) {
    throw new AppError('FORBIDDEN', 'The default workspace has no members of its own: everybody belongs to it');
  }
  const isPlatformAdmin = caller.role === 'admin';
  const seat = await places.seatIn(caller.userId, workspaceId);
  const workspace = seat?.workspace ?? (isPlatformAdmin ? await workspaces.find(workspaceId) : undefined);
  if (!workspace) throw new AppError('NOT_FOUND', 'Workspace not found');
  if (!mayInWorkspace({ isPlatformAdmin, ...(seat && { role: seat.role }) }, permission))
    throw new AppError('FORBIDDEN');
  if (workspace.status === 'disabled' && !READS.has(permission)) throw new AppError('WORKSPACE_DISABLED');
  return { workspace, role: seat?.role ?? 'admin', isPlatformAdmin };
}
