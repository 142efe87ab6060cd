import type { Role, UserId, WorkspacePermission, WorkspaceRole } from '@tollgate/contracts';
import { workspaceRoleMay } from '@tollgate/contracts';
import type { User } from './user.ts';

/** What is stored of a member; who owns the workspace is written in the workspace. */
export type MemberRole = Exclude<WorkspaceRole, 'owner'>;

export type Workspace = Readonly<{
  id: string;
  name: string;
  description: string;
  status: 'active' | 'disabled';
  ownerId: UserId;
  /** Whether an administrator of the installation has founded it; only then do those who lead it supervise. */
  isOfficial: boolean;
  createdAt: Date;
  updatedAt: Date;
}>;

/** One person in one workspace. It stays when the person leaves, so that its version never begins anew. */
export type Membership = Readonly<{
  workspaceId: string;
  userId: UserId;
  role: MemberRole;
  isActive: boolean;
  /** Grows with every change, so that tokens of an older one can be told. */
  version: number;
  joinedAt: Date;
  changedAt: Date;
}>;

export type Invitation = Readonly<{
  id: string;
  workspaceId: string;
  email: string;
  emailKey: string;
  role: MemberRole;
  invitedBy: UserId;
  createdAt: Date;
  expiresAt: Date;
}>;

/** Where a session is, and what its user is there: what access tokens say of it. */
export type Place = Readonly<{
  workspaceId: string;
  role: WorkspaceRole;
  /** Whether leading it counts outside of it. */
  isOfficial: boolean;
  memberVersion?: number;
}>;

/** A workspace together with what somebody is in it. */
export type Seat = Readonly<{ workspace: Workspace; role: WorkspaceRole; memberVersion: number }>;

export const seatOf = (workspace: Workspace, { userId, role, version }: Membership): Seat => ({
  workspace,
  role: workspace.ownerId === userId ? 'owner' : role,
  memberVersion: version,
});

/** Everybody is in the default workspace, as what they are in the whole installation. */
export const defaultPlace = (workspaceId: string, { role }: Pick<User, 'role'>): Place => ({
  workspaceId,
  role,
  isOfficial: true,
});

export const placeOf = ({ workspace, role, memberVersion }: Seat): Place => ({
  workspaceId: workspace.id,
  role,
  isOfficial: workspace.isOfficial,
  memberVersion,
});

/**
 * The `role` claim: what services ask before they look at the workspace. Whoever leads a workspace supervises within it, unless
 * somebody has founded it for themselves: supervisors give credits away. An administrator of the installation is one everywhere;
 * nobody else brings the role of one workspace into another.
 */
export function claimedRole(user: Pick<User, 'role'>, place: Place, defaultWorkspaceId: string): Role {
  if (user.role === 'admin' || place.workspaceId === defaultWorkspaceId) return user.role;
  return place.role === 'enduser' || !place.isOfficial ? 'enduser' : 'supervisor';
}

/** An administrator of the installation may do what an owner may. */
export const mayInWorkspace = (
  who: Readonly<{ isPlatformAdmin: boolean; role?: WorkspaceRole }>,
  permission: WorkspacePermission,
): boolean => who.isPlatformAdmin || (who.role !== undefined && workspaceRoleMay(who.role, permission));
