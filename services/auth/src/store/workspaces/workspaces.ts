import { UserId } from '@tollgate/contracts';
import { type Connection, Schema, trusted, type Types } from 'mongoose';
import type { Workspace } from '../../domain/workspace.ts';
import type { Workspaces } from '../../ports/workspaces.ts';
import { objectId } from '../object-id.ts';

type WorkspaceRecord = Omit<Workspace, 'id' | 'ownerId'> & {
  _id: string;
  ownerId: Types.ObjectId;
  /** The roster: its owner and its administrators. */
  adminIds: Types.ObjectId[];
};

const schema = new Schema<WorkspaceRecord>(
  {
    _id: String,
    name: { type: String, required: true },
    description: String,
    status: { type: String, enum: ['active', 'disabled'], required: true },
    ownerId: { type: Schema.Types.ObjectId, required: true },
    adminIds: { type: [Schema.Types.ObjectId], required: true },
    isOfficial: { type: Boolean, required: true },
    createdAt: { type: Date, required: true },
    updatedAt: { type: Date, required: true },
  },
  { versionKey: false, collection: 'workspaces' },
);

const CHANGED = { returnDocument: 'after' } as const;

const modelIn = (connection: Connection) => connection.model('Workspace', schema);
type WorkspaceModel = ReturnType<typeof modelIn>;

/** Workspaces, one document each with the roster of those who lead it. */
export function createWorkspaces(connection: Connection): Workspaces {
  const model = modelIn(connection);
  return {
    async insert({ id, ownerId, ...workspace }) {
      const owner = objectId(ownerId);
      await model.create({ _id: id, ownerId: owner, adminIds: [owner], ...workspace });
    },
    ...look(model),
    async update(id, changes, now) {
      const set = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
      const update = { $set: { ...set, updatedAt: now } };
      return toWorkspace(await model.findOneAndUpdate({ _id: id, status: 'active' }, update, CHANGED).lean());
    },
    setStatus: async (id, status, now) =>
      toWorkspace(await model.findOneAndUpdate({ _id: id }, { $set: { status, updatedAt: now } }, CHANGED).lean()),
    ...lead(model),
  };
}

const look = (model: WorkspaceModel): Pick<Workspaces, 'find' | 'findSome' | 'list'> => ({
  find: async (id) => toWorkspace(await model.findOne({ _id: id }).lean()),
  async findSome(ids) {
    const records = await model.find({ _id: trusted({ $in: [...ids] }) }).lean();
    return records.flatMap((record) => toWorkspace(record) ?? []);
  },
  async list({ after, limit }) {
    const filter = after === undefined ? {} : { _id: trusted({ $gt: after }) };
    const records = await model.find(filter).sort({ _id: 1 }).limit(limit).lean();
    return records.flatMap((record) => toWorkspace(record) ?? []);
  },
});

const lead = (model: WorkspaceModel): Pick<Workspaces, 'enlist' | 'strike' | 'transfer'> => ({
  async enlist(id, userId) {
    await model.updateOne({ _id: id }, { $addToSet: { adminIds: objectId(userId) } });
  },
  async strike(id, userId, actorId) {
    const user = objectId(userId);
    const filter = {
      _id: id,
      ownerId: trusted({ $ne: user }),
      ...(actorId !== undefined && { adminIds: objectId(actorId) }),
    };
    return (await model.updateOne(filter, { $pull: { adminIds: user } })).matchedCount === 1;
  },
  async transfer(id, { from, to }, now) {
    const filter = { _id: id, ownerId: objectId(from), adminIds: objectId(to) };
    const update = { $set: { ownerId: objectId(to), updatedAt: now } };
    return toWorkspace(await model.findOneAndUpdate(filter, update, CHANGED).lean());
  },
});

function toWorkspace(record: WorkspaceRecord | null): Workspace | undefined {
  if (!record) return undefined;
  const { _id, ownerId, adminIds: _adminIds, ...workspace } = record;
  return {
    ...workspace,
    id: _id,
    ownerId: UserId.parse(ownerId.toHexString()),
    description: workspace.description ?? '',
  };
}
