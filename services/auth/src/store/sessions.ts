import { UserId } from '@tollgate/contracts';
import { type Connection, Schema, trusted, type Types } from 'mongoose';
import { END_REASONS, type EndReason, MOST_SESSIONS, type Session } from '../domain/session.ts';
import type { Sessions } from '../ports.ts';
import { objectId } from './object-id.ts';

type SessionRecord = Omit<Session, 'id' | 'userId'> & { _id: string; userId: Types.ObjectId; endReason?: EndReason };

const required = { required: true } as const;

const schema = new Schema<SessionRecord>(
  {
    _id: String,
    userId: { type: Schema.Types.ObjectId, ...required },
    tokenVersion: { type: Number, ...required },
    workspaceId: String,
    currentHash: { type: String, ...required },
    previousHash: String,
    sealedSuccessor: String,
    rotatedAt: { type: Date, ...required },
    createdAt: { type: Date, ...required },
    idleUntil: { type: Date, ...required },
    endsAt: { type: Date, ...required },
    revokedAt: Date,
    usesCookies: Boolean,
    steppedUpAt: Date,
    endReason: { type: String, enum: END_REASONS },
    ip: String,
    userAgent: String,
  },
  { versionKey: false, collection: 'sessions' },
);

/** Neither idle for too long nor at the end of its life. */
const within = (now: Date) => ({ idleUntil: trusted({ $gt: now }), endsAt: trusted({ $gt: now }) });
const LAST_USED_FIRST = { rotatedAt: -1, _id: -1 } as const;
const LIVING = { revokedAt: trusted({ $exists: false }) } as const;

/** Token families, one document each, so that a rotation is one atomic update. Tokens are stored as hashes only. */
export function createSessions(connection: Connection): Sessions {
  const model = connection.model('Session', schema);
  const ended = (reason: EndReason, now: Date) => ({ $set: { revokedAt: now, endReason: reason } });

  return {
    async insert({ id, userId, ...session }) {
      await model.create({ _id: id, userId: objectId(userId), ...session });
    },
    find: async (id) => toSession(await model.findOne({ _id: id }).lean()),
    async rotate(id, { fromHash, toHash, sealedSuccessor, now, ...use }) {
      const update = { currentHash: toHash, previousHash: fromHash, sealedSuccessor, rotatedAt: now, ...use };
      return toSession(
        await model
          .findOneAndUpdate(
            { _id: id, currentHash: fromHash, ...LIVING, ...within(now) },
            { $set: update },
            { returnDocument: 'after' },
          )
          .lean(),
      );
    },
    markSteppedUp: async (id, userId, now) =>
      (await model.updateOne({ _id: id, userId: objectId(userId), ...LIVING }, { $set: { steppedUpAt: now } }))
        .matchedCount === 1,
    end: async (id, reason, now) =>
      (await model.updateOne({ _id: id, ...LIVING }, ended(reason, now))).modifiedCount === 1,
    async listOf({ id, tokenVersion }, now) {
      const filter = { userId: objectId(id), tokenVersion, ...LIVING, ...within(now) };
      return (await model.find(filter).sort(LAST_USED_FIRST).limit(MOST_SESSIONS).lean()).flatMap(
        (record) => toSession(record) ?? [],
      );
    },
    async endAllBut(kept, userId, reason, now) {
      const living = { userId: objectId(userId), ...LIVING, ...within(now) };
      const others = await model.find(living, { _id: 1 }).sort(LAST_USED_FIRST).skip(kept).limit(MOST_SESSIONS).lean();
      if (others.length === 0) return [];
      const ids = others.map(({ _id }) => _id);
      await model.updateMany({ _id: trusted({ $in: ids }), ...LIVING }, ended(reason, now));
      return ids;
    },
    async endAllOf(userIds, reason, now) {
      await model.updateMany({ userId: trusted({ $in: userIds.map(objectId) }), ...LIVING }, ended(reason, now));
    },
    async endOthersOf(userId, kept, { reason, now }) {
      const owner = objectId(userId);
      await model.updateOne({ _id: kept.id, userId: owner, ...LIVING }, { $set: { tokenVersion: kept.tokenVersion } });
      await model.updateMany({ userId: owner, _id: trusted({ $ne: kept.id }), ...LIVING }, ended(reason, now));
    },
  };
}

function toSession(record: SessionRecord | null): Session | undefined {
  if (!record) return undefined;
  const { _id, userId, endReason: _endReason, ...session } = record;
  return { id: _id, userId: UserId.parse(userId.toHexString()), ...session };
}
