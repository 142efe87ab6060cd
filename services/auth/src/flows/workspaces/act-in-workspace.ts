import { AppError, type UserCaller } from '@tollgate/http-kit';
import { claimedRole } from '../../domain/workspace.ts';
import type { Ports } from '../../ports.ts';
import type { Places } from './places.ts';

type ActDeps = Pick<Ports, 'users'> & { places: Places; defaultWorkspaceId: string };

/**
 * The caller as a member of the workspace that a request names by `X-Workspace-Id`. It is honoured for a member alone, as
 * what they are there; for everybody else there is no such workspace.
 */
export const createActInWorkspace = ({ users, places, defaultWorkspaceId }: ActDeps) =>
  async function actInWorkspace(caller: UserCaller, workspaceId: string): Promise<UserCaller> {
    if (workspaceId === (caller.workspaceId ?? defaultWorkspaceId)) return caller;
    // A key is for the workspace it was made in.
    const user = caller.apiKey ? undefined : await users.find(caller.userId);
    const place = user && (await places.find(user, workspaceId));
    if (!place) throw new AppError('NOT_FOUND', 'Workspace not found');
    const { memberVersion: _other, ...rest } = caller;
    return {
      ...rest,
      role: claimedRole(user, place, defaultWorkspaceId),
      workspaceId,
      workspaceRole: place.role,
      ...(place.memberVersion !== undefined && { memberVersion: place.memberVersion }),
    };
  };
