import { z } from 'zod';
import { Message } from './auth-fields.ts';
import { Email, Timestamp, UserId, Uuid, WorkspaceId, WorkspaceRole } from '../ids.ts';
import { operation, PageQuery } from '../operation.ts';

const LONGEST_NAME = 80;
const LONGEST_DESCRIPTION = 500;

const WorkspaceName = z
  .string()
  .trim()
  .min(1)
  .max(LONGEST_NAME)
  .regex(/^[\p{L}\p{N}][\p{L}\p{M}\p{N} .,&'()_-]*$/u, "may hold letters, digits, spaces and . , & ' ( ) _ -");
const Description = z
  .string()
  .trim()
  .max(LONGEST_DESCRIPTION)
  .refine((text) => text.isWellFormed() && !text.includes('\0'), 'must be well-formed text');

/** What may be given by invitation or by an administrator of the workspace; ownership is handed over by its owner alone. */
const GivenRole = WorkspaceRole.exclude(['owner']);

/** A workspace as one of its members sees it. */
export const Workspace = z.object({
  id: WorkspaceId,
  name: z.string(),
  description: z.string(),
  status: z.enum(['active', 'disabled']),
  /** What the caller is in it. */
  role: WorkspaceRole,
  isDefault: z.boolean(),
  createdAt: Timestamp.nullable(),
  updatedAt: Timestamp.nullable(),
});
export type Workspace = z.infer<typeof Workspace>;

export const WorkspaceChoice = z.object({ id: WorkspaceId, name: z.string(), role: WorkspaceRole });
export type WorkspaceChoice = z.infer<typeof WorkspaceChoice>;

const params = z.strictObject({ workspaceId: WorkspaceId });
const memberParams = params.extend({ userId: UserId });
const invitationParams = params.extend({ invitationId: Uuid });

export const listWorkspaces = operation({
  id: 'listWorkspaces',
  method: 'GET',
  path: '/api/workspaces',
  summary: 'Workspaces the caller belongs to: the default one first, then by the time of joining (at most 101)',
  permission: 'workspaces:own',
  result: z.object({ workspaces: z.array(Workspace) }),
});

export const listAllWorkspaces = operation({
  id: 'listAllWorkspaces',
  method: 'GET',
  path: '/api/admin/workspaces',
  summary: 'Every workspace but the default one, page by page',
  permission: 'workspaces:administer',
  query: PageQuery,
  result: z.object({ workspaces: z.array(Workspace.extend({ ownerId: UserId })), nextCursor: z.string().nullable() }),
});

export const createWorkspace = operation({
  id: 'createWorkspace',
  method: 'POST',
  path: '/api/workspaces',
  summary: 'Found a workspace and own it; for administrators, or for everybody when the installation says so',
  permission: 'workspaces:own',
  status: 201,
  body: z.strictObject({ name: WorkspaceName, description: Description.default('') }),
  result: z.object({ workspace: Workspace }),
  errors: ['FORBIDDEN', 'CONFLICT', 'RATE_LIMITED'],
});

export const readWorkspace = operation({
  id: 'readWorkspace',
  method: 'GET',
  path: '/api/workspaces/:workspaceId',
  summary: 'One workspace of the caller',
  permission: 'workspaces:own',
  params,
  result: z.object({ workspace: Workspace }),
  errors: ['NOT_FOUND'],
});

export const updateWorkspace = operation({
  id: 'updateWorkspace',
  method: 'PATCH',
  path: '/api/workspaces/:workspaceId',
  summary: 'Change name or description of a workspace',
  permission: 'workspaces:own',
  params,
  body: z
    .strictObject({ name: WorkspaceName.optional(), description: Description.optional() })
    .refine(({ name, description }) => name !== undefined || description !== undefined, 'names nothing to change'),
  result: z.object({ workspace: Workspace }),
  errors: ['NOT_FOUND', 'FORBIDDEN', 'WORKSPACE_DISABLED'],
});

export const disableWorkspace = operation({
  id: 'disableWorkspace',
  method: 'POST',
  path: '/api/workspaces/:workspaceId/disable',
  summary: 'Stop a workspace: tokens that name it are refused, and nothing in it changes until it is enabled',
  permission: 'workspaces:administer',
  params,
  result: z.object({ workspace: Workspace }),
  errors: ['NOT_FOUND', 'FORBIDDEN'],
});

export const enableWorkspace = operation({
  id: 'enableWorkspace',
  method: 'POST',
  path: '/api/workspaces/:workspaceId/enable',
  summary: 'Let a workspace go on',
  permission: 'workspaces:administer',
  params,
  result: z.object({ workspace: Workspace }),
  errors: ['NOT_FOUND', 'FORBIDDEN'],
});

export const WorkspaceMember = z.object({
  userId: UserId,
  username: z.string(),
  role: WorkspaceRole,
  joinedAt: Timestamp,
  updatedAt: Timestamp,
});
export type WorkspaceMember = z.infer<typeof WorkspaceMember>;

export const listMembers = operation({
  id: 'listMembers',
  method: 'GET',
  path: '/api/workspaces/:workspaceId/members',
  summary: 'Members of a workspace, page by page',
  permission: 'workspaces:own',
  params,
  query: PageQuery,
  result: z.object({ members: z.array(WorkspaceMember), nextCursor: z.string().nullable() }),
  errors: ['NOT_FOUND', 'FORBIDDEN'],
});

export const changeMemberRole = operation({
  id: 'changeMemberRole',
  method: 'PUT',
  path: '/api/workspaces/:workspaceId/members/:userId',
  summary: 'Give a member another role; tokens that name the old one are refused',
  permission: 'workspaces:own',
  params: memberParams,
  body: z.strictObject({ role: GivenRole }),
  result: z.object({ member: WorkspaceMember }),
  errors: [
    'NOT_FOUND',
    'FORBIDDEN',
    'OWN_ACCOUNT',
    'LAST_OWNER',
    'LAST_ADMIN',
    'WORKSPACE_DISABLED',
    'CONFLICT',
    'RATE_LIMITED',
  ],
});

export const removeMember = operation({
  id: 'removeMember',
  method: 'DELETE',
  path: '/api/workspaces/:workspaceId/members/:userId',
  summary: 'Remove a member; tokens that name the workspace are refused',
  permission: 'workspaces:own',
  params: memberParams,
  result: Message,
  errors: ['NOT_FOUND', 'FORBIDDEN', 'OWN_ACCOUNT', 'LAST_OWNER', 'LAST_ADMIN', 'WORKSPACE_DISABLED', 'CONFLICT'],
});

export const leaveWorkspace = operation({
  id: 'leaveWorkspace',
  method: 'POST',
  path: '/api/workspaces/:workspaceId/leave',
  summary: 'Leave a workspace; its owner hands it over first',
  permission: 'workspaces:own',
  params,
  result: Message,
  errors: ['NOT_FOUND', 'FORBIDDEN', 'LAST_OWNER', 'CONFLICT'],
});

export const transferWorkspace = operation({
  id: 'transferWorkspace',
  method: 'POST',
  path: '/api/workspaces/:workspaceId/transfer',
  summary: 'Hand a workspace over to one of its administrators; who owned it stays one; needs a step-up',
  permission: 'workspaces:own',
  params,
  body: z.strictObject({ userId: UserId }),
  result: z.object({ workspace: Workspace }),
  errors: ['NOT_FOUND', 'FORBIDDEN', 'STEP_UP_REQUIRED', 'CONFLICT', 'WORKSPACE_DISABLED'],
});

export const Invitation = z.object({
  id: Uuid,
  email: z.string(),
  role: GivenRole,
  invitedBy: UserId,
  createdAt: Timestamp,
  expiresAt: Timestamp,
});
export type Invitation = z.infer<typeof Invitation>;

export const inviteMember = operation({
  id: 'inviteMember',
  method: 'POST',
  path: '/api/workspaces/:workspaceId/invitations',
  summary: 'Mail somebody an invitation; inviting the same address again replaces the one before',
  permission: 'workspaces:own',
  status: 201,
  params,
  body: z.strictObject({ email: Email, role: GivenRole.default('enduser') }),
  result: z.object({ invitation: Invitation }),
  errors: ['NOT_FOUND', 'FORBIDDEN', 'WORKSPACE_DISABLED', 'RATE_LIMITED'],
});

export const listInvitations = operation({
  id: 'listInvitations',
  method: 'GET',
  path: '/api/workspaces/:workspaceId/invitations',
  summary: 'Invitations that nobody has accepted yet, page by page',
  permission: 'workspaces:own',
  params,
  query: PageQuery,
  result: z.object({ invitations: z.array(Invitation), nextCursor: z.string().nullable() }),
  errors: ['NOT_FOUND', 'FORBIDDEN'],
});

export const revokeInvitation = operation({
  id: 'revokeInvitation',
  method: 'DELETE',
  path: '/api/workspaces/:workspaceId/invitations/:invitationId',
  summary: 'Take an invitation back; its token is worth nothing from now on',
  permission: 'workspaces:own',
  params: invitationParams,
  result: Message,
  errors: ['NOT_FOUND', 'FORBIDDEN'],
});

export const acceptInvitation = operation({
  id: 'acceptInvitation',
  method: 'POST',
  path: '/api/workspaces/invitations/accept',
  summary: 'Join a workspace with a mailed token; the account must own the address that the mail went to',
  permission: 'workspaces:own',
  body: z.strictObject({ token: z.string().trim().min(1).max(200) }),
  result: z.object({ workspace: Workspace }),
  errors: ['INVALID_CODE', 'CONFLICT', 'RATE_LIMITED', 'WORKSPACE_DISABLED'],
});

/** One change of who belongs where, for the services that keep a copy. */
export const MembershipChange = z.object({
  workspaceId: WorkspaceId,
  userId: UserId,
  /** null: not a member any more. */
  role: WorkspaceRole.nullable(),
  /** Grows with every change of this membership: a copy keeps the largest it has seen. */
  version: z.int(),
  changedAt: Timestamp,
});
export type MembershipChange = z.infer<typeof MembershipChange>;

const MOST_CHANGES = 500;

export const listMembershipChanges = operation({
  id: 'listMembershipChanges',
  method: 'GET',
  path: '/api/internal/memberships',
  summary:
    'Memberships in the order of their last change, removals among them; `since` overlaps with what was read before',
  permission: 'internal:memberships',
  query: z.strictObject({
    since: Timestamp.optional(),
    cursor: z.string().max(128).optional(),
    limit: z.coerce.number().int().min(1).max(MOST_CHANGES).default(MOST_CHANGES),
  }),
  result: z.object({ changes: z.array(MembershipChange), nextCursor: z.string().nullable(), now: Timestamp }),
});
