import { UserId, type WorkspaceRole } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import type { MemberRole, Membership, Workspace } from '../../domain/workspace.ts';
import type { Ports } from '../../ports.ts';
import type { RequireStepUp } from '../mfa/step-up.ts';
import { type SeenWorkspace, seen } from './administer-workspaces.ts';
import { type PermissionDeps, requirePermission } from './require-permission.ts';

export type MemberDeps = PermissionDeps &
  Pick<Ports, 'clock' | 'events' | 'limits' | 'mailQueue' | 'memberships' | 'revocations' | 'users'>;

export type SeenMember = Readonly<{
  userId: UserId;
  username: string;
  role: WorkspaceRole;
  joinedAt: Date;
  updatedAt: Date;
}>;

/** One page of members and the cursor of the next: the last id, which opens nothing that the workspace does not. */
export const createListMembers = (deps: MemberDeps) =>
  async function listMembers(
    caller: UserCaller,
    workspaceId: string,
    { limit, cursor }: { limit: number; cursor?: string | undefined },
  ): Promise<{ members: SeenMember[]; nextCursor: string | null }> {
    const { workspace } = await requirePermission(deps, caller, workspaceId, 'members:read');
    const after = cursor === undefined ? undefined : readCursor(cursor);
    const page = await deps.memberships.list(workspaceId, { after, limit: limit + 1 });
    const shown = page.slice(0, limit);
    const accounts = await deps.users.findSome(shown.map(({ userId }) => userId));
    const names = new Map(accounts.map(({ id, username }) => [id, username]));
    const members = shown.flatMap((membership) => {
      const username = names.get(membership.userId);
      // Whoever deleted the account has left with it.
      return username === undefined ? [] : [memberOf(workspace, membership, username)];
    });
    return { members, nextCursor: page.length > limit ? (shown.at(-1)?.userId ?? null) : null };
  };

function readCursor(cursor: string): UserId {
  const id = UserId.safeParse(cursor);
  if (!id.success) throw new AppError('VALIDATION_FAILED', 'This cursor is not valid');
  return id.data;
}

const memberOf = (workspace: Workspace, membership: Membership, username: string): SeenMember => ({
  userId: membership.userId,
  username,
  role: workspace.ownerId === membership.userId ? 'owner' : membership.role,
  joinedAt: membership.joinedAt,
  updatedAt: membership.changedAt,
});

/** Gives another member a role; ownership is neither given nor taken here. */
export const createChangeMemberRole = (deps: MemberDeps) =>
  async function changeMemberRole(
    caller: UserCaller,
    of: Readonly<{ workspaceId: string; userId: UserId }>,
    role: MemberRole,
    origin: Origin,
  ): Promise<SeenMember> {
    const { workspaceId, userId } = of;
    const { workspace, isPlatformAdmin } = await requirePermission(deps, caller, workspaceId, 'members:write');
    if (userId === caller.userId) throw new AppError('OWN_ACCOUNT', 'You cannot change your own role');
    const user = await deps.users.find(userId);
    if (!user) throw noMember();
    if (workspace.ownerId === userId) throw new AppError('LAST_OWNER');
    await deps.limits.spend('access-changes-per-user', caller.userId);
    const actorId = isPlatformAdmin ? undefined : caller.userId;
    const { before, after } = await decide(deps, of, { role }, actorId);
    if (before.role !== after.role) {
      const now = after.changedAt;
      await endTokens(deps, after, 'membership-changed');
      await deps.mailQueue.add({ kind: 'member-role', userId, workspaceId, role }, now);
      const facts = { workspaceId, from: before.role, to: role };
      await deps.events.record({
        action: 'member.role-changed',
        actorId: caller.userId,
        targetId: userId,
        origin,
        facts,
      });
    }
    return memberOf(workspace, after, user.username);
  };

export const createRemoveMember = (deps: MemberDeps) =>
  async function removeMember(
    caller: UserCaller,
    of: Readonly<{ workspaceId: string; userId: UserId }>,
    origin: Origin,
  ): Promise<void> {
    const { workspaceId, userId } = of;
    const { isPlatformAdmin } = await requirePermission(deps, caller, workspaceId, 'members:write');
    if (userId === caller.userId) throw new AppError('OWN_ACCOUNT', 'Leave the workspace instead');
    const actorId = isPlatformAdmin ? undefined : caller.userId;
    const { after } = await decide(deps, of, { isActive: false }, actorId);
    await endTokens(deps, after, 'membership-removed');
    await deps.mailQueue.add({ kind: 'member-removed', userId, workspaceId }, after.changedAt);
    const facts = { workspaceId };
    await deps.events.record({ action: 'member.removed', actorId: caller.userId, targetId: userId, origin, facts });
  };

/** Also out of a disabled workspace: nobody is kept. */
export const createLeaveWorkspace = (deps: MemberDeps) =>
  async function leaveWorkspace(caller: UserCaller, workspaceId: string, origin: Origin): Promise<void> {
    const { userId } = caller;
    await requirePermission(deps, caller, workspaceId, 'workspace:read');
    const { after } = await decide(deps, { workspaceId, userId }, { isActive: false }, undefined);
    await endTokens(deps, after, 'membership-removed');
    const facts = { workspaceId };
    await deps.events.record({ action: 'member.left', actorId: userId, targetId: userId, origin, facts });
  };

/**
 * Hands the workspace over in one atomic step, which asks whether the caller owns it and whether the other one leads it at
 * that moment. The one who owned it stays an administrator. There is no way back but through the heir, so that a session
 * alone is not enough.
 */
export const createTransferWorkspace = (deps: MemberDeps & { requireStepUp: RequireStepUp }) =>
  async function transferWorkspace(
    caller: UserCaller,
    workspaceId: string,
    to: UserId,
    origin: Origin,
  ): Promise<SeenWorkspace> {
    const { workspace, role } = await requirePermission(deps, caller, workspaceId, 'workspace:transfer');
    await deps.requireStepUp(caller);
    const heir = await deps.memberships.find(workspaceId, to);
    if (!heir?.isActive || !(await deps.users.find(to))) throw noMember();
    if (workspace.ownerId === to) return seen(workspace, role);
    if (heir.role !== 'admin')
      throw new AppError('CONFLICT', 'Only an administrator of the workspace can take it over');
    const from = workspace.ownerId;
    const now = new Date(deps.clock.now());
    const moved = await deps.workspaces.transfer(workspaceId, { from, to }, now);
    if (!moved) throw new AppError('CONFLICT');
    for (const userId of [from, to]) await renewTokens(deps, workspaceId, userId);
    await deps.mailQueue.add({ kind: 'member-role', userId: to, workspaceId, role: 'owner' }, now);
    const facts = { workspaceId, from, to };
    await deps.events.record({ action: 'workspace.transferred', actorId: caller.userId, targetId: to, origin, facts });
    const seat = await deps.places.seatIn(caller.userId, workspaceId);
    return seen(moved, seat?.role ?? 'admin');
  };

const noMember = () => new AppError('NOT_FOUND', 'This person is not a member');

/** How often a membership may change under our hands before we give up. */
const MOST_TRIES = 5;

/**
 * Changes a membership as it is at this moment. Whoever leads the workspace is struck off its roster first, in one step that
 * refuses the owner and an actor who is no administrator any more; a crash in between leaves too few on it, never too many.
 */
async function decide(
  { workspaces, memberships, clock }: MemberDeps,
  { workspaceId, userId }: Readonly<{ workspaceId: string; userId: UserId }>,
  to: Readonly<{ role?: MemberRole; isActive?: false }>,
  actorId: UserId | undefined,
): Promise<{ before: Membership; after: Membership }> {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const before = await memberships.find(workspaceId, userId);
    if (!before?.isActive) throw noMember();
    const remainsAdmin = to.isActive === undefined && to.role === 'admin';
    if (remainsAdmin) await workspaces.enlist(workspaceId, userId);
    else if (before.role === 'admin' && !(await workspaces.strike(workspaceId, userId, actorId))) {
      const isOwner = (await workspaces.find(workspaceId))?.ownerId === userId;
      throw isOwner ? new AppError('LAST_OWNER') : new AppError('FORBIDDEN');
    }
    if (to.role === before.role) return { before, after: before };
    const after = await memberships.change(before, to, new Date(clock.now()));
    if (after) return { before, after };
  }
  throw new AppError('CONFLICT');
}

/** Tokens of an older version of the membership count no longer, in any service. */
async function endTokens(
  { revocations }: Pick<MemberDeps, 'revocations'>,
  { workspaceId, userId, version, changedAt }: Membership,
  reason: 'membership-changed' | 'membership-removed',
): Promise<void> {
  await revocations.add([{ kind: 'member', userId, workspaceId, minVersion: version, reason }], changedAt);
}

/** The role of an owner is written in the workspace, so that the membership only has to begin a new version. */
async function renewTokens(deps: MemberDeps, workspaceId: string, userId: UserId): Promise<void> {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const membership = await deps.memberships.find(workspaceId, userId);
    if (!membership?.isActive) return;
    const after = await deps.memberships.change(membership, {}, new Date(deps.clock.now()));
    if (after) return endTokens(deps, after, 'membership-changed');
  }
}
