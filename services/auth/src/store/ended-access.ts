import { UserId } from '@tollgate/contracts';
import type { Connection, Types } from 'mongoose';
import { EVERY_VERSION, type NewRevocation } from '../domain/revocation.ts';
import { SINGLE_ENDS } from '../domain/session.ts';
import type { UserStatus } from '../domain/user.ts';
import type { EndedAccess } from '../ports/revocations.ts';

type Account = { _id: Types.ObjectId; tokenVersion: number; status: UserStatus; updatedAt: Date };
type Member = {
  _id: string;
  workspaceId: string;
  userId: Types.ObjectId;
  isActive: boolean;
  version: number;
  changedAt: Date;
};
type EndedSession = { _id: string; revokedAt: Date };
type Workspace = { _id: string; status: string; updatedAt: Date };
type Key = { _id: string; endedAt: Date };

/** What has ended lately, by what itself says so. */
export const createEndedAccess = (connection: Connection): EndedAccess => ({
  async accounts(from, to, limit) {
    const accounts = connection.collection<Account>('users');
    // The first version is that of a new account, which has ended nothing.
    const changed = { updatedAt: { $gte: from, $lt: to }, tokenVersion: { $gt: 1 } };
    const found = await accounts.find(changed).sort({ updatedAt: 1 }).limit(limit).toArray();
    return found.map((account) => ({ entry: entryOf(account), at: account.updatedAt }));
  },
  async sessions(from, to, limit) {
    const sessions = connection.collection<EndedSession>('sessions');
    const ended = { revokedAt: { $gte: from, $lt: to }, endReason: { $in: [...SINGLE_ENDS] } };
    const found = await sessions.find(ended).sort({ revokedAt: 1 }).limit(limit).toArray();
    return found.map(({ _id: sessionId, revokedAt: at }) => ({
      entry: { kind: 'session', sessionId, reason: 'access-ended' },
      at,
    }));
  },
  async members(from, to, limit) {
    const members = connection.collection<Member>('memberships');
    const changed = { changedAt: { $gte: from, $lt: to }, version: { $gt: 1 } };
    const found = await members.find(changed).sort({ changedAt: 1 }).limit(limit).toArray();
    return found.map((member) => ({ entry: endOf(member), at: member.changedAt }));
  },
  async workspaces(from, to, limit) {
    const workspaces = connection.collection<Workspace>('workspaces');
    const disabled = { updatedAt: { $gte: from, $lt: to }, status: 'disabled' };
    const found = await workspaces.find(disabled).sort({ updatedAt: 1 }).limit(limit).toArray();
    return found.map(({ _id: workspaceId, updatedAt: at }) => ({
      entry: { kind: 'workspace', workspaceId, reason: 'workspace-disabled' },
      at,
    }));
  },
  async keys(from, to, limit) {
    const keys = connection.collection<Key>('api_keys');
    const found = await keys
      .find({ endedAt: { $gte: from, $lt: to } })
      .sort({ endedAt: 1 })
      .limit(limit)
      .toArray();
    return found.map(({ _id: keyId, endedAt: at }) => ({ entry: { kind: 'key', keyId, reason: 'key-revoked' }, at }));
  },
});

function entryOf({ _id, tokenVersion, status }: Account): NewRevocation {
  const user = { kind: 'user', userId: UserId.parse(_id.toHexString()) } as const;
  if (status === 'deleted') return { ...user, minVersion: EVERY_VERSION, reason: 'account-deleted' };
  const reason = status === 'active' ? 'access-ended' : (`account-${status}` as const);
  return { ...user, minVersion: tokenVersion, reason };
}

const endOf = ({ userId, workspaceId, version, isActive }: Member): NewRevocation => ({
  kind: 'member',
  userId: UserId.parse(userId.toHexString()),
  workspaceId,
  minVersion: version,
  reason: isActive ? 'membership-changed' : 'membership-removed',
});
