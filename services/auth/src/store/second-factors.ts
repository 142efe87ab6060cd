import { UserId } from '@tollgate/contracts';
import { unlessDuplicate } from '@tollgate/mongo-kit';
import { type Connection, Schema, trusted, type Types } from 'mongoose';
import type { SecondFactor } from '../domain/second-factor.ts';
import type { SecondFactors } from '../ports/second-factors.ts';
import { objectId } from './object-id.ts';

type FactorRecord = SecondFactor & { _id: Types.ObjectId };

const required = { required: true } as const;
const active = new Schema(
  {
    sealedSecret: { type: String, ...required },
    lastStep: { type: Number, ...required },
    confirmedAt: { type: Date, ...required },
  },
  { _id: false },
);
const proposed = new Schema(
  { sealedSecret: { type: String, ...required }, proposedAt: { type: Date, ...required } },
  { _id: false },
);

const schema = new Schema<FactorRecord>(
  { _id: Schema.Types.ObjectId, active, proposed, backupHashes: { type: [String], default: undefined } },
  { versionKey: false, collection: 'second_factors' },
);

/** Second factors, one document per user, so that "used once" is one atomic update. */
export function createSecondFactors(connection: Connection): SecondFactors {
  const model = connection.model('SecondFactor', schema);
  const IN_FORCE = { active: trusted({ $exists: true }) } as const;
  return {
    async find(userId) {
      const record = await model.findOne({ _id: objectId(userId) }).lean();
      if (!record) return undefined;
      const { _id, backupHashes, ...factor } = record;
      return { ...factor, backupHashes: backupHashes ?? [] };
    },
    async propose(userId, sealedSecret, now) {
      const [filter, update] = [{ _id: objectId(userId) }, { $set: { proposed: { sealedSecret, proposedAt: now } } }];
      const isPut = await unlessDuplicate(model.updateOne(filter, update, { upsert: true }).exec());
      // Two proposals at once may both try to be the first document; the other one is there now.
      if (!isPut) await model.updateOne(filter, update);
    },
    async confirm(userId, sealedSecret, { step, backupHashes, now }) {
      const put = { active: { sealedSecret, lastStep: step, confirmedAt: now }, backupHashes: [...backupHashes] };
      const update = { $set: put, $unset: { proposed: 1 } } as const;
      return (
        (await model.updateOne({ _id: objectId(userId), 'proposed.sealedSecret': sealedSecret }, update))
          .modifiedCount === 1
      );
    },
    async useStep(userId, { sealedSecret, resealed, step }) {
      const unused = { 'active.sealedSecret': sealedSecret, 'active.lastStep': trusted({ $lt: step }) };
      const put = { 'active.lastStep': step, ...(resealed !== undefined && { 'active.sealedSecret': resealed }) };
      return (await model.updateOne({ _id: objectId(userId), ...unused }, { $set: put })).modifiedCount === 1;
    },
    async useBackupCode(userId, hashes) {
      const among = trusted({ $in: [...hashes] });
      const filter = { _id: objectId(userId), ...IN_FORCE, backupHashes: among };
      return (await model.updateOne(filter, { $pull: { backupHashes: among } })).modifiedCount === 1;
    },
    async sealedAfter(owner, limit) {
      const behind = owner === undefined ? {} : { _id: trusted({ $gt: objectId(owner) }) };
      const records = await model
        .find({ ...IN_FORCE, ...behind }, { active: 1 })
        .sort({ _id: 1 })
        .limit(limit)
        .lean();
      return records.flatMap(({ _id, active: inForce }) =>
        inForce ? [{ userId: UserId.parse(_id.toHexString()), sealedSecret: inForce.sealedSecret }] : [],
      );
    },
    reseal: async (userId, from, to) =>
      (
        await model.updateOne(
          { _id: objectId(userId), 'active.sealedSecret': from },
          { $set: { 'active.sealedSecret': to } },
        )
      ).modifiedCount === 1,
    async replaceBackupCodes(userId, hashes) {
      const update = { $set: { backupHashes: [...hashes] } };
      return (await model.updateOne({ _id: objectId(userId), ...IN_FORCE }, update)).matchedCount === 1;
    },
    async remove(userId) {
      const removed = await model.findOneAndDelete({ _id: objectId(userId) }).lean();
      return removed?.active !== undefined;
    },
    async removeOf(userIds) {
      await model.deleteMany({ _id: trusted({ $in: userIds.map(objectId) }) });
    },
  };
}
