import type { Owner } from '../../ports.ts';

/** Whose row: those of the default workspace name none, as do rows from before there were workspaces. */
export const ownedBy = ({ userId, workspaceId }: Owner, defaultWorkspaceId: string) => ({
  user_id: userId,
  workspace_id:
    workspaceId === undefined || workspaceId === defaultWorkspaceId ? { $exists: false as const } : workspaceId,
});

/** The same as columns of a new row. */
export const ownerColumns = ({ userId, workspaceId }: Owner, defaultWorkspaceId: string) => ({
  user_id: userId,
  ...(workspaceId !== undefined && workspaceId !== defaultWorkspaceId && { workspace_id: workspaceId }),
});
