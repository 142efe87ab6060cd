import { z } from 'zod';
import { Storage } from './admin.ts';
import { chatflowParams } from './chatflows.ts';
import { Timestamp, UserId, WorkspaceId } from '../ids.ts';
import { operation } from '../operation.ts';

const path = '/api/v1/admin/chatflows/:id/workspaces';

export const listChatflowWorkspaces = operation({
  id: 'listChatflowWorkspaces',
  method: 'GET',
  path,
  summary: 'Workspaces whose members may all use a chatflow, while they work there',
  permission: 'chatflows:administer',
  params: chatflowParams,
  result: z.array(z.object({ workspace_id: WorkspaceId, assigned_at: Timestamp })),
  errors: ['NOT_FOUND'],
});

const WorkspaceAssignment = z.object({
  workspace_id: WorkspaceId,
  status: z.enum(['Assigned', 'Reactivated', 'No Action', 'Deactivated']),
  message: z.string(),
});

export const assignChatflowToWorkspace = operation({
  id: 'assignChatflowToWorkspace',
  method: 'POST',
  path,
  summary: 'Let every member of a workspace use a chatflow there',
  permission: 'chatflows:administer',
  params: chatflowParams,
  body: z.strictObject({ workspace_id: WorkspaceId }),
  result: WorkspaceAssignment,
  errors: ['NOT_FOUND', 'DEPENDENCY_UNAVAILABLE'],
});

export const unassignChatflowFromWorkspace = operation({
  id: 'unassignChatflowFromWorkspace',
  method: 'DELETE',
  path,
  summary: 'Take a chatflow away from a workspace, which is named in the query or in the body',
  permission: 'chatflows:administer',
  params: chatflowParams,
  query: z.strictObject({ workspace_id: WorkspaceId.optional() }),
  body: z.strictObject({ workspace_id: WorkspaceId.optional() }).prefault({}),
  result: WorkspaceAssignment,
  errors: ['NOT_FOUND'],
});

export const eraseConversations = operation({
  id: 'eraseConversations',
  method: 'DELETE',
  path: '/api/v1/admin/users/:userId/conversations',
  summary:
    'Delete all conversations of a user in every workspace, here and at the upstreams. For a deleted account this happens by itself, DELETED_ACCOUNT_ERASURE after the deletion',
  permission: 'chatflows:administer',
  params: z.strictObject({ userId: UserId }),
  result: z.object({ user_id: UserId, sessions_deleted: z.int(), messages_deleted: z.int() }),
});

const settings = {
  path: '/api/v1/admin/workspaces/:workspaceId/chat-settings',
  permission: 'chatflows:administer',
  params: z.strictObject({ workspaceId: WorkspaceId }),
  result: z.object({ workspace_id: WorkspaceId, ...Storage.shape }),
  errors: ['NOT_FOUND', 'DEPENDENCY_UNAVAILABLE'],
} as const;

export const readChatSettings = operation({
  ...settings,
  id: 'readChatSettings',
  method: 'GET',
  summary: 'What is kept of the conversations of a workspace',
});

export const replaceChatSettings = operation({
  ...settings,
  id: 'replaceChatSettings',
  method: 'PUT',
  summary: 'Decide what is kept of the conversations of a workspace; a chatflow may be stricter',
  body: z.strictObject(Storage.shape),
});
