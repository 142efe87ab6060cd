import type { WorkspaceRole } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import type { Workspace } from '../../domain/workspace.ts';
import type { Ports } from '../../ports.ts';
import { MOST_MEMBERSHIPS } from './places.ts';
import { type PermissionDeps, requirePermission } from './require-permission.ts';

type WorkspaceDeps = PermissionDeps &
  Pick<Ports, 'clock' | 'events' | 'limits' | 'memberships' | 'revocations' | 'secrets' | 'users'> & {
    /** Who may found workspaces. */
    workspaceCreation: 'admins' | 'everyone';
  };

/** A workspace as one of its members sees it; the default one is in no table. */
export type SeenWorkspace = Readonly<{
  id: string;
  name: string;
  description: string;
  status: Workspace['status'];
  role: WorkspaceRole;
  isDefault: boolean;
  createdAt?: Date;
  updatedAt?: Date;
}>;

export const DEFAULT_NAME = 'Default';

export const seen = (workspace: Workspace, role: WorkspaceRole): SeenWorkspace => ({
  ...workspace,
  role,
  isDefault: false,
});

const seenDefault = (id: string, { role }: { role: WorkspaceRole }): SeenWorkspace => ({
  id,
  name: DEFAULT_NAME,
  description: '',
  status: 'active',
  role,
  isDefault: true,
});

/** The user's role in the installation, which the token may not name: it may be of another workspace. */
async function ownDefault({ users, defaultWorkspaceId }: WorkspaceDeps, caller: UserCaller): Promise<SeenWorkspace> {
  const user = await users.find(caller.userId);
  if (!user) throw new AppError('NOT_FOUND');
  return seenDefault(defaultWorkspaceId, user);
}

/** What the caller belongs to; the default workspace first. */
export const createListWorkspaces = (deps: WorkspaceDeps) =>
  async function listWorkspaces(caller: UserCaller): Promise<SeenWorkspace[]> {
    const [first, seats] = await Promise.all([ownDefault(deps, caller), deps.places.seatsOf(caller.userId)]);
    return [first, ...seats.map(({ workspace, role }) => seen(workspace, role))];
  };

/** Every workspace, for administrators of the installation. The cursor is the last id, so it opens nothing by itself. */
export const createListAllWorkspaces = ({ workspaces }: Pick<WorkspaceDeps, 'workspaces'>) =>
  async function listAllWorkspaces(
    limit: number,
    after: string | undefined,
  ): Promise<{ workspaces: Workspace[]; nextCursor: string | null }> {
    const page = await workspaces.list({ after, limit: limit + 1 });
    const shown = page.slice(0, limit);
    return { workspaces: shown, nextCursor: page.length > limit ? (shown.at(-1)?.id ?? null) : null };
  };

export const createReadWorkspace = (deps: WorkspaceDeps) =>
  async function readWorkspace(caller: UserCaller, workspaceId: string): Promise<SeenWorkspace> {
    if (workspaceId === deps.defaultWorkspaceId) return ownDefault(deps, caller);
    const { workspace, role } = await requirePermission(deps, caller, workspaceId, 'workspace:read');
    return seen(workspace, role);
  };

/** Founds a workspace. Its founder is a member first: a crash in between leaves a membership of nothing, which nobody sees. */
export const createCreateWorkspace = (deps: WorkspaceDeps) =>
  async function createWorkspace(
    caller: UserCaller,
    { name, description }: { name: string; description: string },
    origin: Origin,
  ): Promise<SeenWorkspace> {
    if (deps.workspaceCreation === 'admins' && caller.role !== 'admin') throw new AppError('FORBIDDEN');
    await deps.limits.spend('workspaces-per-user', caller.userId);
    await requireRoom(deps, caller.userId);
    const now = new Date(deps.clock.now());
    const id = deps.secrets.uuid();
    await deps.memberships.join(id, caller.userId, 'admin', now);
    const workspace: Workspace = {
      id,
      name,
      description,
      status: 'active',
      ownerId: caller.userId,
      isOfficial: caller.role === 'admin',
      createdAt: now,
      updatedAt: now,
    };
    await deps.workspaces.insert(workspace);
    const facts = { workspaceId: id };
    await deps.events.record({ action: 'workspace.created', actorId: caller.userId, origin, facts });
    return seen(workspace, 'owner');
  };

/** Lists of workspaces are bounded by this. Several joins at once may pass it by a few, which costs nothing but a longer list. */
export async function requireRoom(
  { memberships }: Pick<Ports, 'memberships'>,
  userId: UserCaller['userId'],
): Promise<void> {
  const joined = await memberships.ofUser(userId, MOST_MEMBERSHIPS);
  if (joined.length >= MOST_MEMBERSHIPS) throw new AppError('CONFLICT', 'You belong to too many workspaces');
}

export const createUpdateWorkspace = (deps: WorkspaceDeps) =>
  async function updateWorkspace(
    caller: UserCaller,
    workspaceId: string,
    changes: { name?: string | undefined; description?: string | undefined },
    origin: Origin,
  ): Promise<SeenWorkspace> {
    const { role } = await requirePermission(deps, caller, workspaceId, 'workspace:write');
    const changed = await deps.workspaces.update(workspaceId, changes, new Date(deps.clock.now()));
    if (!changed) throw new AppError('WORKSPACE_DISABLED');
    const facts = { workspaceId };
    await deps.events.record({ action: 'workspace.updated', actorId: caller.userId, origin, facts });
    return seen(changed, role);
  };

/** Stops a workspace, or lets it go on. Tokens that were issued for it before stay refused: their owners refresh or log in. */
export const createSetWorkspaceStatus = (deps: WorkspaceDeps) =>
  async function setWorkspaceStatus(
    caller: UserCaller,
    workspaceId: string,
    status: Workspace['status'],
    origin: Origin,
  ): Promise<SeenWorkspace> {
    if (workspaceId === deps.defaultWorkspaceId) {
      throw new AppError('FORBIDDEN', 'The default workspace cannot be disabled');
    }
    const now = new Date(deps.clock.now());
    const workspace = await deps.workspaces.setStatus(workspaceId, status, now);
    if (!workspace) throw new AppError('NOT_FOUND', 'Workspace not found');
    if (status === 'disabled') {
      await deps.revocations.add([{ kind: 'workspace', workspaceId, reason: 'workspace-disabled' }], now);
    }
    const action = status === 'disabled' ? 'workspace.disabled' : 'workspace.enabled';
    await deps.events.record({ action, actorId: caller.userId, origin, facts: { workspaceId } });
    const seat = await deps.places.seatIn(caller.userId, workspaceId);
    return seen(workspace, seat?.role ?? 'admin');
  };
