import type { Owner } from '../../ports.ts';
/** Whose row: those of the default workspace name none, as do rows from before there were workspaces. */
export declare const ownedBy: ({ userId, workspaceId }: Owner, defaultWorkspaceId: string) => {
    user_id: string & import("zod").$brand<"UserId">;
    workspace_id: string | {
        $exists: false;
    };
};
/** The same as columns of a new row. */
export declare const ownerColumns: ({ userId, workspaceId }: Owner, defaultWorkspaceId: string) => {
    user_id: string & import("zod").$brand<"UserId">;
    workspace_id?: string;
};
