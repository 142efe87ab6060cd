import { AppError } from '@tollgate/http-kit';
import type { Storage } from '../../domain/storage.ts';
import type { ChatflowId } from '../../domain/wire-types.ts';
import type { Asker, Auth, Chatflows, Clock, WorkspaceAssignment } from '../../ports.ts';
import { requireChatflow } from './require-chatflow.ts';

export interface RuleWorkspacesDeps {
  readonly chatflows: Pick<
    Chatflows,
    'find' | 'workspaces' | 'assignWorkspace' | 'unassignWorkspace' | 'storageOf' | 'setStorage'
  >;
  /** Asked with the administrator's own token, so that auth decides who may look workspaces up. */
  readonly auth: Pick<Auth, 'hasWorkspace'>;
  readonly clock: Clock;
}

type Status = 'Assigned' | 'Reactivated' | 'No Action' | 'Deactivated';
export interface WorkspaceResult {
  readonly workspaceId: string;
  readonly status: Status;
  readonly message: string;
}

const MESSAGES: Readonly<Record<Status, string>> = {
  Assigned: 'The members of the workspace may use the chatflow now',
  Reactivated: 'The members of the workspace may use the chatflow again',
  'No Action': 'The members of the workspace could use the chatflow already',
  Deactivated: 'The members of the workspace may not use the chatflow any more',
};

/** What administrators of the installation decide for whole workspaces: their chatflows, and what is kept there. */
export function createRuleWorkspaces({ chatflows, auth, clock }: RuleWorkspacesDeps) {
  async function requireWorkspace(admin: Asker, workspaceId: string): Promise<void> {
    if (!(await auth.hasWorkspace(admin.token, workspaceId))) throw new AppError('NOT_FOUND', 'Workspace not found');
  }

  return {
    async list(id: ChatflowId): Promise<WorkspaceAssignment[]> {
      await requireChatflow(chatflows, id);
      return chatflows.workspaces(id);
    },

    async assign(admin: Asker, id: ChatflowId, workspaceId: string): Promise<WorkspaceResult> {
      await requireChatflow(chatflows, id);
      await requireWorkspace(admin, workspaceId);
      const status = await chatflows.assignWorkspace(id, workspaceId, new Date(clock.now()));
      return { workspaceId, status, message: MESSAGES[status] };
    },

    /** Also from a workspace that auth does not know any more. */
    async unassign(id: ChatflowId, workspaceId: string | undefined): Promise<WorkspaceResult> {
      if (workspaceId === undefined) throw new AppError('VALIDATION_FAILED', 'A workspace_id is required');
      await requireChatflow(chatflows, id);
      if (!(await chatflows.unassignWorkspace(id, workspaceId)))
        throw new AppError('NOT_FOUND', 'The chatflow is not assigned to the workspace');
      return { workspaceId, status: 'Deactivated', message: MESSAGES.Deactivated };
    },

    async storage(admin: Asker, workspaceId: string): Promise<Storage> {
      await requireWorkspace(admin, workspaceId);
      return chatflows.storageOf(workspaceId);
    },

    async setStorage(admin: Asker, workspaceId: string, storage: Storage): Promise<Storage> {
      await requireWorkspace(admin, workspaceId);
      await chatflows.setStorage(workspaceId, storage);
      return storage;
    },
  };
}
export type WorkspaceRules = ReturnType<typeof createRuleWorkspaces>;
