import { chat } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Storage } from '../domain/storage.ts';
import type { createDeleteConversations } from '../flows/conversations/delete-conversations.ts';
import type { WorkspaceResult, WorkspaceRules } from '../flows/chatflows/rule-workspaces.ts';

export const adminWorkspaceRoutes = (
  workspaces: WorkspaceRules,
  remove: ReturnType<typeof createDeleteConversations>,
): Route[] => [
  serve(chat.listChatflowWorkspaces).with(async ({ params }) =>
    (await workspaces.list(params.id)).map(({ workspaceId, assignedAt }) => ({
      workspace_id: workspaceId,
      assigned_at: assignedAt.toISOString(),
    })),
  ),
  serve(chat.assignChatflowToWorkspace).with(async ({ params, body }, admin) =>
    resultView(await workspaces.assign(admin, params.id, body.workspace_id)),
  ),
  serve(chat.unassignChatflowFromWorkspace).with(async ({ params, query, body }) =>
    resultView(await workspaces.unassign(params.id, query.workspace_id ?? body.workspace_id)),
  ),
  serve(chat.eraseConversations).with(async ({ params: { userId } }) => {
    const { sessions, messages } = await remove.ofUser(userId);
    return { user_id: userId, sessions_deleted: sessions, messages_deleted: messages };
  }),
  serve(chat.readChatSettings).with(async ({ params: { workspaceId } }, admin) =>
    settingsView(workspaceId, await workspaces.storage(admin, workspaceId)),
  ),
  serve(chat.replaceChatSettings).with(async ({ params: { workspaceId }, body }, admin) => {
    const storage = { keeps: body.store, retentionDays: body.retention_days };
    return settingsView(workspaceId, await workspaces.setStorage(admin, workspaceId, storage));
  }),
];

const resultView = ({ workspaceId, status, message }: WorkspaceResult) => ({
  workspace_id: workspaceId,
  status,
  message,
});

const settingsView = (workspaceId: string, { keeps, retentionDays }: Storage) => ({
  workspace_id: workspaceId,
  store: keeps,
  retention_days: retentionDays,
});
