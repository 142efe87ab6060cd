import { UserId } from '@tollgate/contracts';
import { isDuplicate } from '@tollgate/mongo-kit';
import { type Connection, Schema, trusted, type Types } from 'mongoose';
import type { Membership } from '../../domain/workspace.ts';
import type { Memberships } from '../../ports/workspaces.ts';
import { objectId } from '../object-id.ts';

type MembershipRecord = Omit<Membership, 'userId'> & { _id: string; userId: Types.ObjectId };

const required = { required: true } as const;

const schema = new Schema<MembershipRecord>(
  {
    /** Workspace and user: somebody is a member once. */
    _id: String,
    workspaceId: { type: String, ...required },
    userId: { type: Schema.Types.ObjectId, ...required },
    role: { type: String, enum: ['admin', 'supervisor', 'enduser'], ...required },
    isActive: { type: Boolean, ...required },
    version: { type: Number, ...required },
    joinedAt: { type: Date, ...required },
    changedAt: { type: Date, ...required },
  },
  { versionKey: false, collection: 'memberships' },
);

const idOf = (workspaceId: string, userId: UserId): string => `${workspaceId}:${userId}`;
const CHANGED = { returnDocument: 'after' } as const;

/** Who belongs to which workspace. Whoever leaves keeps a document, so that versions only ever grow. */
export function createMemberships(connection: Connection): Memberships {
  const model = connection.model('Membership', schema);
  const many = async (query: PromiseLike<MembershipRecord[]>) => (await query).map(toMembership);

  return {
    async find(workspaceId, userId) {
      const record = await model.findOne({ _id: idOf(workspaceId, userId) }).lean();
      return record ? toMembership(record) : undefined;
    },
    ofUser: (userId, limit) =>
      many(
        model
          .find({ userId: objectId(userId), isActive: true })
          .sort({ joinedAt: 1, _id: 1 })
          .limit(limit)
          .lean(),
      ),
    list(workspaceId, { after, limit }) {
      const behind = after === undefined ? {} : { userId: trusted({ $gt: objectId(after) }) };
      return many(
        model
          .find({ workspaceId, isActive: true, ...behind })
          .sort({ userId: 1 })
          .limit(limit)
          .lean(),
      );
    },
    async join(workspaceId, userId, role, now) {
      const update = {
        $set: { role, isActive: true, joinedAt: now, changedAt: now },
        $inc: { version: 1 },
        $setOnInsert: { workspaceId, userId: objectId(userId) },
      };
      try {
        const gone = { _id: idOf(workspaceId, userId), isActive: false };
        const record = await model.findOneAndUpdate(gone, update, { ...CHANGED, upsert: true }).lean();
        return record ? toMembership(record) : undefined;
      } catch (error) {
        // A living membership is there: the insert of the upsert has met it.
        if (isDuplicate(error)) return undefined;
        throw error;
      }
    },
    async change({ workspaceId, userId, version }, to, now) {
      const unchanged = { _id: idOf(workspaceId, userId), version, isActive: true };
      const update = { $set: { ...to, changedAt: now }, $inc: { version: 1 } };
      const record = await model.findOneAndUpdate(unchanged, update, CHANGED).lean();
      return record ? toMembership(record) : undefined;
    },
    async changes({ since, after, limit }) {
      const behind = after && {
        $or: [{ changedAt: trusted({ $gt: after.at }) }, { changedAt: after.at, _id: trusted({ $gt: after.id }) }],
      };
      const from = since && { changedAt: trusted({ $gte: since }) };
      const records = await model
        .find({ ...(behind ?? from) })
        .sort({ changedAt: 1, _id: 1 })
        .limit(limit)
        .lean();
      return records.map((record) => ({ id: record._id, ...toMembership(record) }));
    },
  };
}

function toMembership({ _id, userId, ...membership }: MembershipRecord): Membership {
  return { userId: UserId.parse(userId.toHexString()), ...membership };
}
