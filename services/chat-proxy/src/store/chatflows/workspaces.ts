import { isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import { KEEPS_ALL, type Storage } from '../../domain/storage.ts';
import type { ChatflowId } from '../../domain/wire-types.ts';
import type { Chatflows, WorkspaceAssignment } from '../../ports.ts';

interface AssignmentRow {
  /** Workspace and chatflow, which makes the pair unique. */
  readonly _id: string;
  readonly workspace_id: string;
  readonly chatflow_id: ChatflowId;
  readonly active: boolean;
  readonly assigned_at: Date;
}

interface SettingsRow {
  /** The workspace. */
  readonly _id: string;
  readonly store: Storage['keeps'];
  readonly retention_days: number | null;
}

const MOST_ASSIGNMENTS = 10_000;
const idOf = (workspaceId: string, chatflowId: ChatflowId): string => `${workspaceId} ${chatflowId}`;

/**
 * Which chatflows all members of a workspace may use, and what is kept of conversations there. The caller bounds the time of
 * each operation.
 */
export function workspacesIn(mongo: Mongo) {
  const assigned = () => mongo.collection<AssignmentRow>('chatflow_workspaces');
  const settings = () => mongo.collection<SettingsRow>('workspace_chat_settings');

  async function assign(
    chatflowId: ChatflowId,
    workspaceId: string,
    at: Date,
  ): ReturnType<Chatflows['assignWorkspace']> {
    try {
      const before = await assigned().findOneAndUpdate(
        { _id: idOf(workspaceId, chatflowId), active: false },
        { $set: { workspace_id: workspaceId, chatflow_id: chatflowId, active: true, assigned_at: at } },
        { upsert: true, returnDocument: 'before' },
      );
      return before ? 'Reactivated' : 'Assigned';
    } catch (error) {
      // An active row is there already, or another administrator was faster by a moment.
      if (!isDuplicate(error)) throw error;
      return 'No Action';
    }
  }

  return {
    assign,
    async has(workspaceId: string, chatflowId: ChatflowId): Promise<boolean> {
      const one = { _id: idOf(workspaceId, chatflowId), active: true };
      return (await assigned().findOne(one, { projection: { _id: 1 } })) !== null;
    },

    async ofWorkspace(workspaceId: string): Promise<{ chatflowId: ChatflowId; assignedAt: Date }[]> {
      const found = await assigned()
        .find({ workspace_id: workspaceId, active: true })
        .limit(MOST_ASSIGNMENTS)
        .toArray();
      return found.map((row) => ({ chatflowId: row.chatflow_id, assignedAt: row.assigned_at }));
    },

    async ofChatflow(chatflowId: ChatflowId): Promise<WorkspaceAssignment[]> {
      const found = await assigned()
        .find({ chatflow_id: chatflowId, active: true })
        .sort({ workspace_id: 1 })
        .limit(MOST_ASSIGNMENTS)
        .toArray();
      return found.map((row) => ({ workspaceId: row.workspace_id, assignedAt: row.assigned_at }));
    },

    async unassign(chatflowId: ChatflowId, workspaceId: string): Promise<boolean> {
      const one = { _id: idOf(workspaceId, chatflowId), active: true };
      return (await assigned().updateOne(one, { $set: { active: false } })).matchedCount > 0;
    },

    async storageOf(workspaceId: string): Promise<Storage> {
      const row = await settings().findOne({ _id: workspaceId });
      return row ? storageOfRow(row) : KEEPS_ALL;
    },

    async retentions(): Promise<{ workspaceId: string; days: number }[]> {
      const found = await settings()
        .find({ retention_days: { $gt: 0 } })
        .limit(MOST_ASSIGNMENTS)
        .toArray();
      return found.map((row) => ({ workspaceId: row._id, days: Number(row.retention_days) }));
    },

    async setStorage(workspaceId: string, { keeps, retentionDays }: Storage): Promise<void> {
      const columns = { store: keeps, retention_days: retentionDays };
      await settings().updateOne({ _id: workspaceId }, { $set: columns }, { upsert: true });
    },
  };
}

const storageOfRow = (row: SettingsRow): Storage => ({ keeps: row.store, retentionDays: row.retention_days });
