import type { UserId } from '@tollgate/contracts';
import type { User } from '../../domain/user.ts';
import { defaultPlace, type Membership, type Place, placeOf, type Seat, seatOf } from '../../domain/workspace.ts';
import type { Ports } from '../../ports.ts';

type PlaceDeps = Pick<Ports, 'memberships' | 'workspaces'> & { defaultWorkspaceId: string };

/** How many workspaces, beside the default one, somebody may belong to. */
export const MOST_MEMBERSHIPS = 100;

export type Places = ReturnType<typeof createPlaces>;

/** Where users may be: in the default workspace, and in every living workspace that they are a member of. */
export const createPlaces = ({ memberships, workspaces, defaultWorkspaceId }: PlaceDeps) => {
  /** A workspace and what the user is in it, also of a disabled one; undefined for whoever is no member. */
  async function seatIn(userId: UserId, workspaceId: string): Promise<Seat | undefined> {
    const [workspace, membership] = await Promise.all([
      workspaces.find(workspaceId),
      memberships.find(workspaceId, userId),
    ]);
    return workspace && membership?.isActive ? seatOf(workspace, membership) : undefined;
  }

  return {
    seatIn,

    /** Where a session of the user may be; the default workspace when none is named. */
    async find(user: Pick<User, 'id' | 'role'>, workspaceId = defaultWorkspaceId): Promise<Place | undefined> {
      if (workspaceId === defaultWorkspaceId) return defaultPlace(defaultWorkspaceId, user);
      const seat = await seatIn(user.id, workspaceId);
      return seat?.workspace.status === 'active' ? placeOf(seat) : undefined;
    },

    /** What the user belongs to beside the default workspace, in the order of joining. */
    async seatsOf(userId: UserId): Promise<Seat[]> {
      const members = await memberships.ofUser(userId, MOST_MEMBERSHIPS);
      const found = await workspaces.findSome(members.map(({ workspaceId }) => workspaceId));
      const byId = new Map(found.map((workspace) => [workspace.id, workspace]));
      return members.flatMap((membership) => seatsIn(byId.get(membership.workspaceId), membership));
    },
  };
};

const seatsIn = (workspace: Seat['workspace'] | undefined, membership: Membership): Seat[] =>
  workspace ? [seatOf(workspace, membership)] : [];
