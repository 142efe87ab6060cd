import type { UserId } from '@tollgate/contracts';
import type { Invitation, MemberRole, Membership, Workspace } from '../domain/workspace.ts';
import type { Hashes } from './hashes.ts';

type TimeAndId = Readonly<{ at: Date; id: string }>;

export type Workspaces = {
  /** Founds a workspace whose only administrator is its owner. */
  insert(workspace: Workspace): Promise<void>;
  find(id: string): Promise<Workspace | undefined>;
  findSome(ids: readonly string[]): Promise<Workspace[]>;
  /** In the order of their ids. */
  list(page: { after?: string | undefined; limit: number }): Promise<Workspace[]>;
  /** Undefined when there is no such workspace, or it is disabled. */
  update(
    id: string,
    changes: { name?: string | undefined; description?: string | undefined },
    now: Date,
  ): Promise<Workspace | undefined>;
  setStatus(id: string, status: Workspace['status'], now: Date): Promise<Workspace | undefined>;

  /*
   * Who leads a workspace stands in one document, the workspace itself: that makes "who strikes off whom first", and "is
   * the new owner an administrator still", one atomic decision each.
   */
  enlist(id: string, userId: UserId): Promise<void>;
  /**
   * Strikes an administrator off; false when it is the owner, or when `actorId` is no administrator at this moment. Nobody
   * asks for an actor when an administrator of the installation does it.
   */
  strike(id: string, userId: UserId, actorId: UserId | undefined): Promise<boolean>;
  /** Only while `from` owns the workspace and `to` is on the roster. */
  transfer(id: string, owners: { from: UserId; to: UserId }, now: Date): Promise<Workspace | undefined>;
};

export type Memberships = {
  /** The membership, also of somebody who has left. */
  find(workspaceId: string, userId: UserId): Promise<Membership | undefined>;
  /** Living memberships of one user in the order of joining, at most `limit`. */
  ofUser(userId: UserId, limit: number): Promise<Membership[]>;
  /** Living memberships of one workspace in the order of the user ids. */
  list(workspaceId: string, page: { after?: UserId | undefined; limit: number }): Promise<Membership[]>;
  /** Makes somebody a member, or a member again; undefined when they are one already. */
  join(workspaceId: string, userId: UserId, role: MemberRole, now: Date): Promise<Membership | undefined>;
  /** Changes a living membership that has not changed since `version`; undefined when it has. */
  change(
    membership: Pick<Membership, 'workspaceId' | 'userId' | 'version'>,
    to: { role?: MemberRole; isActive?: boolean },
    now: Date,
  ): Promise<Membership | undefined>;
  /** All memberships, in the order of their last change, from an instant or behind a place on. */
  changes(page: {
    since?: Date | undefined;
    after?: TimeAndId | undefined;
    limit: number;
  }): Promise<(Membership & { id: string })[]>;
};

export type Invitations = {
  /** Replaces the one that the address has in this workspace; a token that was mailed for that one is worth nothing. */
  put(invitation: Invitation): Promise<void>;
  find(id: string, now: Date): Promise<Invitation | undefined>;
  /** Open ones in the order of their ids. */
  list(workspaceId: string, page: { after?: string | undefined; limit: number; now: Date }): Promise<Invitation[]>;
  /** Stores the hash of the token that is about to be mailed; false when the invitation is over. */
  setHash(id: string, hash: string, now: Date): Promise<boolean>;
  findByHash(hashes: Hashes, now: Date): Promise<Invitation | undefined>;
  /** Uses the invitation up; undefined for everybody but the first, and for a token that was replaced meanwhile. */
  take(hashes: Hashes, emailKey: string, now: Date): Promise<Invitation | undefined>;
  revoke(workspaceId: string, id: string): Promise<boolean>;
};

export type WorkspacePorts = { workspaces: Workspaces; memberships: Memberships; invitations: Invitations };
