import { ROLES, UserId } from '@tollgate/contracts';
import { isDuplicate, unlessDuplicate } from '@tollgate/mongo-kit';
import { type Connection, type Model, Schema, trusted, type Types } from 'mongoose';
import { FORMER_PASSWORDS } from '../domain/password-rules.ts';
import { type User, USER_STATUSES } from '../domain/user.ts';
import type { Users } from '../ports.ts';
import { objectId } from './object-id.ts';

type UserRecord = Omit<User, 'id'> & { _id: Types.ObjectId; deletedAt?: Date };

const schema = new Schema<UserRecord>(
  {
    username: { type: String, required: true },
    usernameKey: String,
    email: { type: String, required: true },
    emailKey: String,
    pendingEmail: String,
    isVerified: { type: Boolean, required: true },
    role: { type: String, enum: ROLES, required: true },
    status: { type: String, enum: USER_STATUSES, required: true },
    passwordHash: { type: String, required: true },
    passwordHistory: { type: [String], default: undefined },
    passwordSetAt: Date,
    tokenVersion: { type: Number, required: true, default: 1 },
    defaultWorkspaceId: String,
    revision: { type: Number, required: true, default: 0 },
    abandonedAt: Date,
    deletedAt: Date,
    createdAt: { type: Date, required: true },
    updatedAt: { type: Date, required: true },
  },
  { versionKey: false, collection: 'users' },
);

/** Accounts that own their address; the others are decoys. */
const OWNED = { status: trusted({ $ne: 'deleted' as const }), emailKey: trusted({ $exists: true }) } as const;
const CHANGED = { returnDocument: 'after' } as const;

type UserModel = Model<UserRecord>;

/** Accounts. Names and addresses are unique by their keys; deleted accounts keep their record without the keys. */
export function createUsers(connection: Connection): Users {
  const model = connection.model('User', schema);
  return { ...openAndClose(model), ...look(model), ...prove(model), ...change(model) };
}

const active = (id: UserId) => ({ _id: objectId(id), status: 'active' }) as const;
/** Also while it is locked or disabled. */
const kept = (id: UserId) => ({ _id: objectId(id), status: trusted({ $ne: 'deleted' as const }) }) as const;
const one = async (query: PromiseLike<UserRecord | null>) => toUser(await query);

const openAndClose = (model: UserModel): Pick<Users, 'insert' | 'removeAbandoned' | 'idsBeside' | 'markDeleted'> => ({
  insert: ({ id, ...user }) => unlessDuplicate(model.create({ _id: objectId(id), ...user })),
  async removeAbandoned({ usernameKey, emailKey }, now) {
    const isAbandoned = { isVerified: false, abandonedAt: trusted({ $lte: now }) };
    await model.deleteMany({ ...isAbandoned, $or: [{ usernameKey }, { emailKey }] });
  },
  async idsBeside(keep, limit) {
    const others = { ...OWNED, _id: trusted({ $ne: objectId(keep.id) }) };
    const filter = keep.admins ? { ...others, role: trusted({ $ne: 'admin' as const }) } : others;
    const records = await model.find(filter, { _id: 1 }).limit(limit).lean();
    return records.map(({ _id }) => UserId.parse(_id.toHexString()));
  },
  async markDeleted(ids, now) {
    const set = { status: 'deleted', deletedAt: now, updatedAt: now } as const;
    const unset = { usernameKey: 1, emailKey: 1, pendingEmail: 1, abandonedAt: 1 } as const;
    const filter = { _id: trusted({ $in: ids.map(objectId) }), status: trusted({ $ne: 'deleted' as const }) } as const;
    const update = { $set: set, $unset: unset, $inc: { tokenVersion: 1, revision: 1 } } as const;
    return (await model.updateMany(filter, update)).modifiedCount;
  },
});

/** The last character there is. */
const LAST = '\u{10ffff}';
/** As a range: no pattern is made of what somebody typed, and the index is used. */
const beginningWith = (prefix: string) => trusted({ $gte: prefix, $lt: prefix + LAST });

const look = (
  model: UserModel,
): Pick<Users, 'find' | 'findAny' | 'findSome' | 'findByName' | 'findByEmail' | 'list'> => ({
  find: (id) => one(model.findOne(active(id)).lean()),
  findAny: (id) => one(model.findOne(kept(id)).lean()),
  async findSome(ids) {
    const records = await model.find({ _id: trusted({ $in: ids.map(objectId) }), status: 'active' }).lean();
    return records.flatMap((record) => toUser(record) ?? []);
  },
  findByName: (usernameKey) => one(model.findOne({ usernameKey }).lean()),
  findByEmail: (emailKey) => one(model.findOne({ emailKey }).lean()),
  async list({ prefix, role, status }, { after, limit }) {
    const filter = {
      // Of a deleted account nothing is left to own; what was a decoy is deleted for good.
      ...(status === 'deleted' ? { status } : OWNED),
      ...(status !== undefined && { status }),
      ...(role !== undefined && { role }),
      ...(after !== undefined && { _id: trusted({ $gt: objectId(after) }) }),
      ...(prefix !== undefined && {
        $or: [{ usernameKey: beginningWith(prefix) }, { emailKey: beginningWith(prefix) }],
      }),
    };
    const records = await model.find(filter).sort({ _id: 1 }).limit(limit).lean();
    return records.flatMap((record) => toUser(record) ?? []);
  },
});

const prove = (model: UserModel): Pick<Users, 'verify' | 'setPendingEmail' | 'confirmEmail'> => ({
  async verify(id, emailKey, now) {
    const set = { isVerified: true, updatedAt: now };
    const update = { $set: set, $unset: { abandonedAt: 1 }, $inc: { revision: 1 } } as const;
    return (await model.updateOne({ ...active(id), emailKey }, update)).matchedCount === 1;
  },
  setPendingEmail({ id, tokenVersion }, pendingEmail, now) {
    const update = { $set: { pendingEmail, updatedAt: now }, $inc: { revision: 1 } };
    return one(model.findOneAndUpdate({ ...active(id), tokenVersion }, update, CHANGED).lean());
  },
  async confirmEmail(id, { email, emailKey }, now) {
    const set = { email, emailKey, isVerified: true, updatedAt: now };
    const update = { $set: set, $unset: { pendingEmail: 1 }, $inc: { revision: 1 } } as const;
    try {
      return (await model.updateOne({ ...active(id), pendingEmail: email }, update)).matchedCount === 1;
    } catch (error) {
      if (isDuplicate(error)) return false;
      throw error;
    }
  },
});

const change = (
  model: UserModel,
): Pick<
  Users,
  'setPassword' | 'replaceHash' | 'rename' | 'setRole' | 'setStatus' | 'setDefaultWorkspace' | 'endSessions'
> => ({
  setPassword(id, { hash, replaces, version }, now) {
    const set = endingSessions({ passwordHash: hash, passwordSetAt: now, updatedAt: now });
    const remember = { passwordHistory: { $each: [replaces], $slice: -FORMER_PASSWORDS } };
    const update = { ...set, $push: remember, $unset: { pendingEmail: 1 } } as const;
    const filter = { ...kept(id), ...(version !== undefined && { tokenVersion: version }) };
    return one(model.findOneAndUpdate(filter, update, CHANGED).lean());
  },
  async replaceHash(id, { from, to }) {
    await model.updateOne({ ...active(id), passwordHash: from }, { $set: { passwordHash: to } });
  },
  async rename(id, name, now) {
    const update = { $set: { ...name, updatedAt: now }, $inc: { revision: 1 } };
    try {
      return await one(model.findOneAndUpdate(active(id), update, CHANGED).lean());
    } catch (error) {
      if (isDuplicate(error)) return 'taken';
      throw error;
    }
  },
  setRole: (id, role, now) =>
    one(model.findOneAndUpdate(kept(id), endingSessions({ role, updatedAt: now }), CHANGED).lean()),
  setStatus: (id, { from, to, role }, now) =>
    one(
      model
        .findOneAndUpdate(
          { _id: objectId(id), status: trusted({ $in: [...from] }), role },
          endingSessions({ status: to, updatedAt: now }),
          CHANGED,
        )
        .lean(),
    ),
  setDefaultWorkspace(id, defaultWorkspaceId, now) {
    const changed = { updatedAt: now };
    const update =
      defaultWorkspaceId === null
        ? { $set: changed, $unset: { defaultWorkspaceId: 1 }, $inc: { revision: 1 } }
        : { $set: { ...changed, defaultWorkspaceId }, $inc: { revision: 1 } };
    return one(model.findOneAndUpdate(active(id), update, CHANGED).lean());
  },
  endSessions: (id, now) => one(model.findOneAndUpdate(kept(id), endingSessions({ updatedAt: now }), CHANGED).lean()),
});

const endingSessions = <Changes extends object>(changes: Changes) => ({
  $set: changes,
  $inc: { tokenVersion: 1, revision: 1 },
});

function toUser(record: UserRecord | null): User | undefined {
  if (!record) return undefined;
  const { _id, deletedAt: _deletedAt, ...user } = record;
  return { id: UserId.parse(_id.toHexString()), ...user };
}
