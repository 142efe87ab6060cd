import type { Chatflow } from '../domain/chatflow.ts';
import type { Storage } from '../domain/storage.ts';
import type { ChatflowId, UserId } from '../domain/wire-types.ts';
import type { Owner } from './asker.ts';
import type { FoundChatflow } from './upstreams.ts';
export interface Assignment {
    readonly userId: UserId;
    readonly username: string;
    readonly email: string;
    readonly assignedAt: Date;
}
export interface WorkspaceAssignment {
    readonly workspaceId: string;
    readonly assignedAt: Date;
}
export type Retention = Readonly<{
    of: 'chatflow';
    chatflowId: ChatflowId;
    days: number;
} | {
    of: 'workspace';
    workspaceId: string;
    days: number;
}>;
export interface Chatflows {
    /**
     * An active chatflow that is public, or assigned to the user or to the workspace the user is in. Its `storage` is what
     * chatflow and workspace both allow.
     */
    findFor(caller: Owner, id: ChatflowId): Promise<Chatflow | undefined>;
    listFor(caller: Owner): Promise<Chatflow[]>;
    /** Those assigned to the user or to the workspace the user is in. */
    assignedTo(caller: Owner): Promise<{
        chatflow: Chatflow;
        assignedAt: Date;
    }[]>;
    find(id: ChatflowId): Promise<Chatflow | undefined>;
    list(options: {
        includeDeleted: boolean;
    }): Promise<Chatflow[]>;
    configure(id: ChatflowId, changes: ChatflowChanges): Promise<Chatflow | undefined>;
    /** `at`: when the upstream was asked. Whoever asked it later knows better, and is not overwritten. */
    save(found: FoundChatflow, at: Date): Promise<'created' | 'updated' | 'unchanged'>;
    markDeleted(ids: readonly ChatflowId[], at: Date): Promise<void>;
    users(id: ChatflowId): Promise<Assignment[]>;
    assign(id: ChatflowId, user: Omit<Assignment, 'assignedAt'>, at: Date): Promise<'Assigned' | 'Reactivated' | 'No Action'>;
    /** False when the chatflow was not assigned to this address. */
    unassign(id: ChatflowId, email: string): Promise<boolean>;
    renameUser(user: Omit<Assignment, 'assignedAt'>): Promise<void>;
    /** Ends the user's assignments without a trace. */
    forgetUser(userId: UserId): Promise<void>;
    workspaces(id: ChatflowId): Promise<WorkspaceAssignment[]>;
    assignWorkspace(id: ChatflowId, workspaceId: string, at: Date): Promise<'Assigned' | 'Reactivated' | 'No Action'>;
    /** False when the chatflow was not assigned to the workspace. */
    unassignWorkspace(id: ChatflowId, workspaceId: string): Promise<boolean>;
    /** What is kept of all conversations of a workspace. */
    storageOf(workspaceId: string): Promise<Storage>;
    setStorage(workspaceId: string, storage: Storage): Promise<void>;
    /** Chatflows and workspaces that keep conversations for so many days only. */
    retentions(): Promise<readonly Retention[]>;
}
type Settings = Pick<Chatflow, 'publicOverride' | 'systemPrompt' | 'allowedOverrides' | 'maxOutputTokens' | 'allowedOrigins' | 'requestsPerMinute' | 'parallelAnswers' | 'uploadsOverride'> & Storage;
/** What is undefined stays as it is. */
export type ChatflowChanges = {
    readonly [Name in keyof Settings]?: Settings[Name] | undefined;
};
export {};
