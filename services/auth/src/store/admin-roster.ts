import { type Connection, Schema, type Types } from 'mongoose';
import type { AdminRoster } from '../ports.ts';
import { objectId } from './object-id.ts';

const schema = new Schema<{ _id: string; userIds: Types.ObjectId[] }>(
  { _id: String, userIds: { type: [Schema.Types.ObjectId], required: true } },
  { versionKey: false, collection: 'rosters' },
);

const ADMINS = { _id: 'admins' } as const;

/** Who is an administrator, in one document: that makes "who strikes off whom first" one atomic decision. */
export function createAdminRoster(connection: Connection): AdminRoster {
  const model = connection.model('Roster', schema);
  return {
    async add(id) {
      await model.updateOne(ADMINS, { $addToSet: { userIds: objectId(id) } }, { upsert: true });
    },
    async strike(id, actorId) {
      const filter = { ...ADMINS, userIds: objectId(actorId) };
      return (await model.updateOne(filter, { $pull: { userIds: objectId(id) } })).matchedCount === 1;
    },
    async strikeOthers(actorId) {
      const actor = objectId(actorId);
      return (await model.updateOne({ ...ADMINS, userIds: actor }, { $set: { userIds: [actor] } })).matchedCount === 1;
    },
  };
}
