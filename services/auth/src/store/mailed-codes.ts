import { UserId } from '@tollgate/contracts';
import { unlessDuplicate } from '@tollgate/mongo-kit';
import { type Connection, Schema, trusted, type Types } from 'mongoose';
import type { MailedCode } from '../domain/mailed-code.ts';
import type { MailedCodes } from '../ports.ts';
import { objectId } from './object-id.ts';

type CodeRecord = Omit<MailedCode, 'hash' | 'userId'> & { _id: string; userId: Types.ObjectId };

const schema = new Schema<CodeRecord>(
  {
    /** The keyed hash of the secret; unique, so that a code alone names its account. */
    _id: String,
    kind: { type: String, required: true },
    userId: { type: Schema.Types.ObjectId, required: true },
    email: { type: String, required: true },
    emailKey: { type: String, required: true },
    createdAt: { type: Date, required: true },
    expiresAt: { type: Date, required: true },
  },
  { versionKey: false, collection: 'mailed_codes' },
);

/** Secrets that were mailed, as keyed hashes. An expired one is never found, whether or not it was cleared away yet. */
export function createMailedCodes(connection: Connection): MailedCodes {
  const model = connection.model('MailedCode', schema);
  const open = (now: Date) => ({ expiresAt: trusted({ $gt: now }) });

  return {
    async insert({ hash, userId, ...code }) {
      await model.deleteOne({ _id: hash, expiresAt: trusted({ $lte: code.createdAt }) });
      return unlessDuplicate(model.create({ _id: hash, userId: objectId(userId), ...code }));
    },
    async find(kind, hashes, now) {
      const filter = { _id: trusted({ $in: [...hashes] }), kind, ...open(now) };
      const [found, ...others] = await model.find(filter).limit(hashes.length).lean();
      // Short codes made under two keys can be the same: then nobody knows whose it is.
      return others.length > 0 ? undefined : toCode(found ?? null);
    },
    take: async (kind, hash, now) => toCode(await model.findOneAndDelete({ _id: hash, kind, ...open(now) }).lean()),
    hasOutstanding: async (kind, userId, now) =>
      (await model.exists({ kind, userId: objectId(userId), ...open(now) })) !== null,
    async discard(userId, kinds) {
      await model.deleteMany({ userId: objectId(userId), kind: trusted({ $in: [...kinds] }) });
    },
  };
}

function toCode(record: CodeRecord | null): MailedCode | undefined {
  if (!record) return undefined;
  const { _id, userId, ...code } = record;
  return { hash: _id, userId: UserId.parse(userId.toHexString()), ...code };
}
