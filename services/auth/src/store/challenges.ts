import { UserId } from '@tollgate/contracts';
import { type Connection, Schema, trusted, type Types } from 'mongoose';
import { type Challenge, CHALLENGE_KINDS } from '../domain/challenge.ts';
import type { Challenges } from '../ports/challenges.ts';
import { objectId } from './object-id.ts';

type ChallengeRecord = Omit<Challenge, 'hash' | 'userId'> & { _id: string; userId: Types.ObjectId };

const schema = new Schema<ChallengeRecord>(
  {
    /** The hash of the secret. */
    _id: String,
    kind: { type: String, enum: CHALLENGE_KINDS, required: true },
    userId: { type: Schema.Types.ObjectId, required: true },
    tokenVersion: { type: Number, required: true },
    hasSecondFactor: { type: Boolean, required: true },
    workspaceId: String,
    createdAt: { type: Date, required: true },
    expiresAt: { type: Date, required: true },
  },
  { versionKey: false, collection: 'challenges' },
);

/** Logins that stopped half-way. An expired one is never found, whether or not it was cleared away yet. */
export function createChallenges(connection: Connection): Challenges {
  const model = connection.model('Challenge', schema);
  const open = (now: Date) => ({ expiresAt: trusted({ $gt: now }) });
  return {
    async insert({ hash, userId, ...challenge }) {
      await model.create({ _id: hash, userId: objectId(userId), ...challenge });
    },
    find: async (kind, hashes, now) =>
      toChallenge(await model.findOne({ _id: trusted({ $in: [...hashes] }), kind, ...open(now) }).lean()),
    take: async (kind, hash, now) =>
      toChallenge(await model.findOneAndDelete({ _id: hash, kind, ...open(now) }).lean()),
  };
}

function toChallenge(record: ChallengeRecord | null): Challenge | undefined {
  if (!record) return undefined;
  const { _id, userId, ...challenge } = record;
  return { hash: _id, userId: UserId.parse(userId.toHexString()), ...challenge };
}
