import { auth } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Invitation } from '../domain/workspace.ts';
import type { SeenMember } from '../flows/workspaces/administer-members.ts';
import type { SeenWorkspace } from '../flows/workspaces/administer-workspaces.ts';
import type { Flows } from '../flows.ts';
import { originOf } from './origin.ts';

export const workspaceRoutes = (flows: Flows): Route[] => [
  // Before those with :workspaceId.
  ...invitationRoutes(flows),
  ...memberRoutes(flows),
  serve(auth.listWorkspaces).with(async (_input, caller) => ({
    workspaces: (await flows.listWorkspaces(caller)).map(workspaceView),
  })),
  serve(auth.listAllWorkspaces).with(async ({ query }) => {
    const { workspaces, nextCursor } = await flows.listAllWorkspaces(query.limit, query.cursor);
    const view = (one: (typeof workspaces)[number]) => ({
      ...workspaceView({ ...one, role: 'admin', isDefault: false }),
      ownerId: one.ownerId,
    });
    return { workspaces: workspaces.map(view), nextCursor };
  }),
  serve(auth.createWorkspace).with(async ({ body }, caller, context) => ({
    workspace: workspaceView(await flows.createWorkspace(caller, body, originOf(context))),
  })),
  serve(auth.readWorkspace).with(async ({ params }, caller) => ({
    workspace: workspaceView(await flows.readWorkspace(caller, params.workspaceId)),
  })),
  serve(auth.updateWorkspace).with(async ({ params, body }, caller, context) => ({
    workspace: workspaceView(await flows.updateWorkspace(caller, params.workspaceId, body, originOf(context))),
  })),
  serve(auth.disableWorkspace).with(async ({ params: { workspaceId } }, caller, context) => ({
    workspace: workspaceView(await flows.setWorkspaceStatus(caller, workspaceId, 'disabled', originOf(context))),
  })),
  serve(auth.enableWorkspace).with(async ({ params: { workspaceId } }, caller, context) => ({
    workspace: workspaceView(await flows.setWorkspaceStatus(caller, workspaceId, 'active', originOf(context))),
  })),
  serve(auth.listMembershipChanges).with(async ({ query }) => {
    const { changes, nextCursor, now } = await flows.tellMemberships(query);
    return { changes, nextCursor, now: now.toISOString() };
  }),
];

const memberRoutes = (flows: Flows): Route[] => [
  serve(auth.listMembers).with(async ({ params, query }, caller) => {
    const { members, nextCursor } = await flows.listMembers(caller, params.workspaceId, query);
    return { members: members.map(memberView), nextCursor };
  }),
  serve(auth.changeMemberRole).with(async ({ params, body }, caller, context) => ({
    member: memberView(await flows.changeMemberRole(caller, params, body.role, originOf(context))),
  })),
  serve(auth.removeMember).with(async ({ params }, caller, context) => {
    await flows.removeMember(caller, params, originOf(context));
    return { message: 'The member was removed' };
  }),
  serve(auth.leaveWorkspace).with(async ({ params }, caller, context) => {
    await flows.leaveWorkspace(caller, params.workspaceId, originOf(context));
    return { message: 'You have left the workspace' };
  }),
  serve(auth.transferWorkspace).with(async ({ params, body }, caller, context) => ({
    workspace: workspaceView(await flows.transferWorkspace(caller, params.workspaceId, body.userId, originOf(context))),
  })),
];

const invitationRoutes = (flows: Flows): Route[] => [
  serve(auth.acceptInvitation).with(async ({ body }, caller, context) => ({
    workspace: workspaceView(await flows.acceptInvitation(caller, body.token, originOf(context))),
  })),
  serve(auth.inviteMember).with(async ({ params, body }, caller, context) => ({
    invitation: invitationView(await flows.inviteMember(caller, params.workspaceId, body, originOf(context))),
  })),
  serve(auth.listInvitations).with(async ({ params, query }, caller) => {
    const { invitations, nextCursor } = await flows.listInvitations(caller, params.workspaceId, query);
    return { invitations: invitations.map(invitationView), nextCursor };
  }),
  serve(auth.revokeInvitation).with(async ({ params }, caller, context) => {
    await flows.revokeInvitation(caller, params.workspaceId, params.invitationId, originOf(context));
    return { message: 'The invitation was taken back' };
  }),
];

const workspaceView = ({ createdAt, updatedAt, ...workspace }: SeenWorkspace): auth.Workspace => ({
  ...workspace,
  createdAt: createdAt?.toISOString() ?? null,
  updatedAt: updatedAt?.toISOString() ?? null,
});

const memberView = ({ joinedAt, updatedAt, ...member }: SeenMember): auth.WorkspaceMember => ({
  ...member,
  joinedAt: joinedAt.toISOString(),
  updatedAt: updatedAt.toISOString(),
});

const invitationView = ({ id, email, role, invitedBy, createdAt, expiresAt }: Invitation): auth.Invitation => ({
  id,
  email,
  role,
  invitedBy,
  createdAt: createdAt.toISOString(),
  expiresAt: expiresAt.toISOString(),
});
