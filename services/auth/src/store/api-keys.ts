import { randomInt } from 'node:crypto';
import { type KeyLimits, KEY_SCOPES, UserId } from '@tollgate/contracts';
import { unlessDuplicate } from '@tollgate/mongo-kit';
import { type Connection, type Model, Schema, trusted, type Types } from 'mongoose';
import { type ApiKey, MOST_KEYS } from '../domain/api-key.ts';
import type { ApiKeys } from '../ports/api-keys.ts';
import { objectId } from './object-id.ts';

type KeyRecord = Omit<ApiKey, 'id' | 'userId'> & {
  _id: string;
  userId: Types.ObjectId;
  /** One of the places that a user has for keys. No two keys of a user share one, so nobody ever has more keys than places. */
  slot: number;
};

const required = { required: true } as const;

const schema = new Schema<KeyRecord>(
  {
    _id: String,
    userId: { type: Schema.Types.ObjectId, ...required },
    slot: { type: Number, ...required },
    workspaceId: { type: String, ...required },
    name: { type: String, ...required },
    scopes: { type: [{ type: String, enum: KEY_SCOPES }], ...required },
    secretHash: { type: String, ...required },
    previous: { type: { secretHash: String, until: Date }, _id: false },
    lifeMs: { type: Number, ...required },
    createdAt: { type: Date, ...required },
    expiresAt: { type: Date, ...required },
    disabledBy: { type: String, enum: ['owner', 'admin'] },
    endedAt: Date,
    limits: Schema.Types.Mixed,
    limitsRevision: { type: Number, ...required },
    lastUsedAt: Date,
    lastUsedIp: String,
  },
  { versionKey: false, collection: 'api_keys', minimize: false },
);

type KeyModel = Model<KeyRecord>;
const CHANGED = { returnDocument: 'after' } as const;
const one = async (query: PromiseLike<KeyRecord | null>) => toKey(await query);
type Owned = Parameters<ApiKeys['findOwn']>[0];
const own = ({ userId, id }: Owned) => ({ _id: id, userId: objectId(userId) });
const unlessByAdmin = (key: Owned) => ({ ...own(key), disabledBy: trusted({ $ne: 'admin' as const }) });

/** API keys. Secrets are here as hashes only; a deleted key leaves nothing but its lines in the audit log. */
export function createApiKeys(connection: Connection): ApiKeys {
  const model = connection.model('ApiKey', schema);
  return { ...open(model), ...look(model), ...change(model), ...setLimits(model) };
}

const open = (model: KeyModel): Pick<ApiKeys, 'insert'> => ({
  async insert({ id, ...key }, now) {
    const userId = objectId(key.userId);
    // Every failed try has seen somebody else take the place, so there are never more than there are places.
    for (let tries = 0; tries <= MOST_KEYS; tries += 1) {
      const slot = (await freeSlot(model, userId)) ?? (await clearedSlot(model, userId, now));
      if (slot === undefined) return false;
      if (await unlessDuplicate(model.create({ ...key, _id: id, userId, slot }))) return true;
    }
    return false;
  },
});

/** Any of the free ones, so that keys made at once seldom want the same. */
async function freeSlot(model: KeyModel, userId: Types.ObjectId): Promise<number | undefined> {
  const records = await model.find({ userId }, { slot: 1 }).lean();
  const taken = new Set(records.map(({ slot }) => slot));
  const free = Array.from({ length: MOST_KEYS }, (_, slot) => slot).filter((slot) => !taken.has(slot));
  return free.length === 0 ? undefined : free[randomInt(free.length)];
}

async function clearedSlot(model: KeyModel, userId: Types.ObjectId, now: Date): Promise<number | undefined> {
  await model.deleteMany({ userId, expiresAt: trusted({ $lte: now }) });
  return freeSlot(model, userId);
}

const look = (model: KeyModel): Pick<ApiKeys, 'find' | 'findOwn' | 'listOf'> => ({
  find: (id) => one(model.findOne({ _id: id }).lean()),
  findOwn: (key) => one(model.findOne(own(key)).lean()),
  async listOf(userId) {
    const records = await model
      .find({ userId: objectId(userId) })
      .sort({ createdAt: 1, _id: 1 })
      .limit(MOST_KEYS)
      .lean();
    return records.flatMap((record) => toKey(record) ?? []);
  },
});

type Changes = 'rename' | 'disable' | 'enable' | 'disableAsAdmin' | 'rotate' | 'remove' | 'noteUse';

const change = (model: KeyModel): Pick<ApiKeys, Changes> => ({
  rename: (key, name) => one(model.findOneAndUpdate(own(key), { $set: { name } }, CHANGED).lean()),
  disable: (key, endedAt) => {
    const update = { $set: { disabledBy: 'owner' as const, endedAt } };
    return one(model.findOneAndUpdate(unlessByAdmin(key), update, CHANGED).lean());
  },
  enable: (key) => one(model.findOneAndUpdate(unlessByAdmin(key), { $unset: { disabledBy: 1 } }, CHANGED).lean()),
  disableAsAdmin: (key, endedAt) =>
    one(model.findOneAndUpdate(own(key), { $set: { disabledBy: 'admin', endedAt } }, CHANGED).lean()),
  rotate(key, { secretHash, overlapUntil, expiresAt, endedAt }) {
    const set = { secretHash, expiresAt, ...(endedAt && { endedAt }) };
    const update = overlapUntil
      ? { $set: { ...set, previous: { secretHash: key.secretHash, until: overlapUntil } } }
      : { $set: set, $unset: { previous: 1 as const } };
    return one(model.findOneAndUpdate({ ...own(key), secretHash: key.secretHash }, update, CHANGED).lean());
  },
  remove: (key) => one(model.findOneAndDelete(own(key)).lean()),
  async noteUse(id, lastUsedAt, lastUsedIp) {
    await model.updateOne({ _id: id }, { $set: { lastUsedAt, ...(lastUsedIp !== undefined && { lastUsedIp }) } });
  },
});

const setLimits = (model: KeyModel): Pick<ApiKeys, 'beginLimits' | 'setLimits'> => ({
  beginLimits: (key) => one(model.findOneAndUpdate(own(key), { $inc: { limitsRevision: 1 } }, CHANGED).lean()),
  setLimits({ limitsRevision, ...key }, limits: KeyLimits) {
    const isUnbound = Object.keys(limits).length === 0;
    const update = isUnbound ? { $unset: { limits: 1 as const } } : { $set: { limits } };
    return one(model.findOneAndUpdate({ ...own(key), limitsRevision }, update, CHANGED).lean());
  },
});

function toKey(record: KeyRecord | null): ApiKey | undefined {
  if (!record) return undefined;
  const { _id, userId, slot: _slot, ...key } = record;
  return { id: _id, userId: UserId.parse(userId.toHexString()), ...key };
}
