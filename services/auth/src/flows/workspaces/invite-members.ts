import { Uuid } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import type { CodeLives } from '../../domain/mailed-code.ts';
import { keyOf } from '../../domain/user.ts';
import { type Invitation, type MemberRole, mayInWorkspace } from '../../domain/workspace.ts';
import type { Hashes } from '../../ports/hashes.ts';
import type { Ports } from '../../ports.ts';
import { requireRoom, type SeenWorkspace, seen } from './administer-workspaces.ts';
import { type PermissionDeps, requirePermission } from './require-permission.ts';

type InviteDeps = PermissionDeps &
  Pick<Ports, 'clock' | 'events' | 'invitations' | 'limits' | 'mailQueue' | 'memberships' | 'secrets' | 'users'> & {
    codeLives: CodeLives;
  };

/**
 * Invites an address. Whether it belongs to an account is neither looked up nor told; the token is made when the mail is
 * written. Inviting the address again replaces the invitation before.
 */
export const createInviteMember = (deps: InviteDeps) =>
  async function inviteMember(
    caller: UserCaller,
    workspaceId: string,
    { email, role }: { email: string; role: MemberRole },
    origin: Origin,
  ): Promise<Invitation> {
    await requirePermission(deps, caller, workspaceId, 'invitations:write');
    await deps.limits.spend('invite-per-user', caller.userId);
    await deps.limits.spend('invite-per-recipient', keyOf(email));
    const now = deps.clock.now();
    const invitation: Invitation = {
      id: deps.secrets.uuid(),
      workspaceId,
      email,
      emailKey: keyOf(email),
      role,
      invitedBy: caller.userId,
      createdAt: new Date(now),
      expiresAt: new Date(now + deps.codeLives.invitation),
    };
    await deps.invitations.put(invitation);
    await deps.mailQueue.add({ kind: 'invitation', email, invitationId: invitation.id }, new Date(now));
    const facts = { workspaceId, invitationId: invitation.id, role };
    await deps.events.record({ action: 'invitation.sent', actorId: caller.userId, origin, facts });
    return invitation;
  };

export const createListInvitations = (deps: InviteDeps) =>
  async function listInvitations(
    caller: UserCaller,
    workspaceId: string,
    { limit, cursor }: { limit: number; cursor?: string | undefined },
  ): Promise<{ invitations: Invitation[]; nextCursor: string | null }> {
    await requirePermission(deps, caller, workspaceId, 'invitations:write');
    const after = cursor === undefined ? undefined : readCursor(cursor);
    const page = await deps.invitations.list(workspaceId, {
      after,
      limit: limit + 1,
      now: new Date(deps.clock.now()),
    });
    const shown = page.slice(0, limit);
    return { invitations: shown, nextCursor: page.length > limit ? (shown.at(-1)?.id ?? null) : null };
  };

function readCursor(cursor: string): string {
  const id = Uuid.safeParse(cursor);
  if (!id.success) throw new AppError('VALIDATION_FAILED', 'This cursor is not valid');
  return id.data;
}

export const createRevokeInvitation = (deps: InviteDeps) =>
  async function revokeInvitation(
    caller: UserCaller,
    workspaceId: string,
    invitationId: string,
    origin: Origin,
  ): Promise<void> {
    await requirePermission(deps, caller, workspaceId, 'invitations:write');
    if (!(await deps.invitations.revoke(workspaceId, invitationId))) {
      throw new AppError('NOT_FOUND', 'Invitation not found');
    }
    const facts = { workspaceId, invitationId };
    await deps.events.record({ action: 'invitation.revoked', actorId: caller.userId, origin, facts });
  };

const failed = () => new AppError('INVALID_CODE');

/**
 * Joins a workspace. The token alone is not enough: the account must own the address that it was mailed to, whoever invited
 * must still be one who may, and whoever has left or was removed since is invited anew. Used, unknown, expired and somebody else's token get one answer.
 */
export const createAcceptInvitation = (deps: InviteDeps) =>
  async function acceptInvitation(caller: UserCaller, token: string, origin: Origin): Promise<SeenWorkspace> {
    await deps.limits.spend('join-per-user', caller.userId);
    const hashes = deps.secrets.hashes('invitation', token);
    const { invitation, workspace } = await findOpen(deps, caller, hashes);
    if (workspace.status === 'disabled') throw new AppError('WORKSPACE_DISABLED');
    const present = await deps.places.seatIn(caller.userId, workspace.id);
    if (!present) await requireRoom(deps, caller.userId);
    if (!(await deps.invitations.take(hashes, invitation.emailKey, new Date(deps.clock.now())))) throw failed();
    // Who was a member before stays what they were: a role is changed where that is audited.
    if (!present) await join(deps, caller, invitation, origin);
    return seen(workspace, present?.role ?? invitation.role);
  };

/** The invitation of a token in the hands of whom it was meant for. */
async function findOpen(deps: InviteDeps, caller: UserCaller, hashes: Hashes) {
  const [user, invitation] = await Promise.all([
    deps.users.find(caller.userId),
    deps.invitations.findByHash(hashes, new Date(deps.clock.now())),
  ]);
  if (!user?.isVerified || !invitation || user.emailKey !== invitation.emailKey) throw failed();
  const workspace = await deps.workspaces.find(invitation.workspaceId);
  if (!workspace || !(await mayStillInvite(deps, invitation))) throw failed();
  const former = await deps.memberships.find(workspace.id, user.id);
  if (former && !former.isActive && former.changedAt > invitation.createdAt) throw failed();
  return { invitation, workspace };
}

async function mayStillInvite({ users, places }: InviteDeps, { invitedBy, workspaceId }: Invitation): Promise<boolean> {
  const [inviter, seat] = await Promise.all([users.find(invitedBy), places.seatIn(invitedBy, workspaceId)]);
  if (!inviter) return false;
  const who = { isPlatformAdmin: inviter.role === 'admin', ...(seat && { role: seat.role }) };
  return mayInWorkspace(who, 'invitations:write');
}

/** On the roster before the membership: a crash in between leaves a name on it that may do nothing. */
async function join(
  { workspaces, memberships, events, clock }: InviteDeps,
  { userId }: UserCaller,
  { workspaceId, role, invitedBy }: Invitation,
  origin: Origin,
): Promise<void> {
  if (role === 'admin') await workspaces.enlist(workspaceId, userId);
  const joined = await memberships.join(workspaceId, userId, role, new Date(clock.now()));
  if (!joined) return;
  const facts = { workspaceId, role, invitedBy };
  await events.record({ action: 'member.joined', actorId: userId, targetId: userId, origin, facts });
}
