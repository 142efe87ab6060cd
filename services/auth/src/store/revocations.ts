import { unlessDuplicate } from '@tollgate/mongo-kit';
import { type Connection, Schema, trusted } from 'mongoose';
import { type NewRevocation, revocationId, TOLD_FOR_MS } from '../domain/revocation.ts';
import type { Revocations } from '../ports/revocations.ts';

type RevocationRecord = {
  /** The natural name of the fact. */
  _id: string;
  entry: NewRevocation;
  madeAt: Date;
  expiresAt: Date;
};

const required = { required: true } as const;

const schema = new Schema<RevocationRecord>(
  {
    _id: String,
    entry: { type: Schema.Types.Mixed, ...required },
    madeAt: { type: Date, ...required },
    expiresAt: { type: Date, ...required },
  },
  { versionKey: false, collection: 'revocations' },
);

/** Which access tokens count no longer: what the other services are told. */
export function createRevocations(connection: Connection): Revocations {
  const model = connection.model('Revocation', schema);
  return {
    async add(entries, now) {
      if (entries.length === 0) return;
      const record = { madeAt: now, expiresAt: new Date(now.getTime() + TOLD_FOR_MS) };
      const writes = entries.map(({ endedAt = now, ...entry }) => ({
        updateOne: {
          filter: { _id: revocationId(entry, endedAt) },
          update: { $setOnInsert: { entry, ...record } },
          upsert: true,
        },
      }));
      const write = () => model.bulkWrite(writes, { ordered: false });
      // Two upserts of one entry at the same moment can meet; the second time both find it.
      if (!(await unlessDuplicate(write()))) await write();
    },
    async list({ madeAt, id }, limit) {
      const place = new Date(madeAt);
      const behind = [{ madeAt: trusted({ $gt: place }) }, { madeAt: place, _id: trusted({ $gt: id }) }];
      const records = await model.find({ $or: behind }).sort({ madeAt: 1, _id: 1 }).limit(limit).lean();
      return records.map((record) => ({ ...record.entry, id: record._id, madeAt: record.madeAt.getTime() }));
    },
  };
}
