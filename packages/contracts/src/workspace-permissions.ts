import { WORKSPACE_ROLES, type WorkspaceRole } from './ids.ts';

const EVERY_MEMBER = WORKSPACE_ROLES;
const STAFF = ['owner', 'admin', 'supervisor'] as const;
const ADMINS = ['owner', 'admin'] as const;
const OWNER = ['owner'] as const;

/**
 * What a member may do within a workspace, beside what {@link PERMISSIONS} asks of every caller. An administrator of the
 * installation may do what an owner may, in every workspace.
 */
export const WORKSPACE_PERMISSIONS = {
  'workspace:read': EVERY_MEMBER,
  'workspace:write': ADMINS,
  'workspace:transfer': OWNER,
  'members:read': STAFF,
  'members:write': ADMINS,
  'invitations:write': ADMINS,
} as const satisfies Record<string, readonly WorkspaceRole[]>;

export type WorkspacePermission = keyof typeof WORKSPACE_PERMISSIONS;

export const workspaceRoleMay = (role: WorkspaceRole, permission: WorkspacePermission): boolean =>
  (WORKSPACE_PERMISSIONS[permission] as readonly WorkspaceRole[]).includes(role);
