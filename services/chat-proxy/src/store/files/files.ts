import type { Mongo } from '@tollgate/mongo-kit';
import type { mongo } from 'mongoose';
import type { FileId, SessionId, UserId } from '../../domain/wire-types.ts';
import type {
  BlobPlace,
  ErasableFile,
  FileBinding,
  FileFacts,
  Files,
  Owner,
  Picture,
  StoredFile,
} from '../../ports.ts';

interface Row {
  readonly _id: FileId;
  readonly user_id: UserId;
  /** Absent in the default workspace. */
  readonly workspace_id?: string;
  readonly session_id: SessionId | null;
  readonly message_ids: string[];
  /** Where bytes of it may lie; after it was published, where they do. */
  readonly storages: string[];
  readonly blob: string | null;
  /** Present while it is not published, and since it was removed: it is not there for anybody. */
  readonly erase_at?: Date;
  /** It will never be published again. */
  readonly removed?: true;
  readonly name?: string;
  readonly mime?: string;
  readonly upload_type?: string;
  readonly size?: number;
  readonly uploaded_at?: Date;
  readonly picture?: Picture | null;
}
type Published = Required<Omit<Row, 'workspace_id' | 'erase_at' | 'removed' | 'blob'>> & { readonly blob: string };

const LONGEST_LIST = 1000;
const MOST_MESSAGES = 200;
const THERE = { erase_at: { $exists: false } };
const NOT_REMOVED = { removed: { $exists: false } };

export function filesIn(database: Mongo, defaultWorkspaceId: string): Files {
  const rows = () => database.collection<Row>('files');
  const owned = ({ userId, workspaceId = defaultWorkspaceId }: Owner): mongo.Filter<Row> => ({
    user_id: userId,
    workspace_id: workspaceId === defaultWorkspaceId ? { $exists: false } : workspaceId,
  });
  const found = async (filter: mongo.Filter<Row>): Promise<StoredFile | undefined> => {
    const row = await rows().findOne({ ...filter, ...THERE });
    return row ? fileOf(row as Published) : undefined; // only published rows are there
  };
  const list = async (filter: mongo.Filter<Row>): Promise<StoredFile[]> => {
    const sorted = rows()
      .find({ ...filter, ...THERE })
      .sort({ uploaded_at: 1, _id: 1 });
    return (await sorted.limit(LONGEST_LIST).toArray()).map((row) => fileOf(row as Published));
  };

  return {
    ...writingIn(database, rows, owned),

    find: (owner, id) => database.run(() => found({ _id: id, ...owned(owner) })),
    findLinked: (id) => database.run(() => found({ _id: id })),
    list: (owner, where) =>
      database.run(() =>
        list({
          ...owned(owner),
          ...('sessionId' in where ? { session_id: where.sessionId } : { message_ids: where.messageId }),
        }),
      ),
    listOf: (owner, ids) => database.run(() => list({ _id: { $in: [...ids] }, ...owned(owner) })),

    remove: (owner, id, at) =>
      database.run(async () => {
        const there = { _id: id, ...owned(owner), ...THERE };
        const row = await rows().findOneAndUpdate(there, { $set: { erase_at: at, removed: true } });
        return row ? erasableOf(row) : undefined;
      }),

    forgetOf: (sessions, at) =>
      database.run(async () => {
        const ofSessions = sessions.map(({ id, userId }) => ({ user_id: userId, session_id: id }));
        if (ofSessions.length === 0) return;
        await rows().updateMany({ $or: ofSessions, ...NOT_REMOVED }, { $set: { erase_at: at, removed: true } });
      }),

    forgetUser: (userId, at) =>
      database.run(async () => {
        await rows().updateMany({ user_id: userId, ...NOT_REMOVED }, { $set: { erase_at: at, removed: true } });
      }),

    takeErasable: (now, again, limit) => database.run(() => takeErasable(rows(), { now, again, limit })),

    addStorage: (id, storage) =>
      database.run(async () => {
        await rows().updateOne({ _id: id }, { $addToSet: { storages: storage } });
      }),

    forget: (id) =>
      database.run(async () => {
        await rows().deleteOne({ _id: id, removed: true });
      }),
  };
}

/** How a file comes into being, and becomes one of a message. */
function writingIn(
  database: Mongo,
  rows: () => mongo.Collection<Row>,
  owned: (owner: Owner) => mongo.Filter<Row>,
): Pick<Files, 'begin' | 'place' | 'publish' | 'discard' | 'bind'> {
  return {
    begin: ({ id, owner, storage, sessionId }, eraseAt) =>
      database.run(async () => {
        const { workspace_id: workspaceId } = owned(owner);
        await rows().insertOne({
          _id: id,
          user_id: owner.userId,
          ...(typeof workspaceId === 'string' && { workspace_id: workspaceId }),
          session_id: sessionId,
          message_ids: [],
          storages: [storage],
          blob: null,
          erase_at: eraseAt,
        });
      }),

    place: (id, key) =>
      database.run(async () => {
        await rows().updateOne({ _id: id }, { $set: { blob: key } });
      }),

    publish: (id, place, facts, bound) =>
      database.run(async () => {
        const { matchedCount } = await rows().updateOne(
          { _id: id, ...NOT_REMOVED },
          { $set: { ...columnsOf(place, facts), ...boundColumns(bound) }, $unset: { erase_at: '' } },
        );
        return matchedCount > 0;
      }),

    discard: (id, at) =>
      database.run(async () => {
        const row = await rows().findOneAndUpdate({ _id: id }, { $set: { erase_at: at, removed: true } });
        return row ? erasableOf(row) : undefined;
      }),

    bind: (owner, ids, { sessionId, messageId }) =>
      database.run(async () => {
        const own = { _id: { $in: [...ids] }, ...owned(owner), ...NOT_REMOVED };
        await rows().updateMany(
          { ...own, message_ids: { $ne: messageId } },
          { $push: { message_ids: { $each: [messageId], $slice: -MOST_MESSAGES } } },
        );
        await rows().updateMany({ ...own, session_id: null }, { $set: { session_id: sessionId } });
      }),
  };
}

/** One by one, each in an atomic step, so that several processes share the work. */
async function takeErasable(
  rows: mongo.Collection<Row>,
  { now, again, limit }: { now: Date; again: Date; limit: number },
): Promise<ErasableFile[]> {
  const due = await rows
    .find({ erase_at: { $lte: now } }, { projection: { _id: 1 } })
    .limit(limit)
    .toArray();
  const taken = await Promise.all(
    due.map(({ _id }) =>
      rows.findOneAndUpdate({ _id, erase_at: { $lte: now } }, { $set: { erase_at: again, removed: true } }),
    ),
  );
  return taken.filter((row) => row !== null).map(erasableOf);
}

const erasableOf = ({ _id: id, user_id: userId, blob: key, storages }: Row): ErasableFile => ({
  id,
  userId,
  key,
  storages,
});

const columnsOf = ({ key, storage }: BlobPlace, facts: FileFacts) => ({
  blob: key,
  storages: [storage],
  name: facts.name,
  mime: facts.mime,
  upload_type: facts.type,
  size: facts.sizeBytes,
  uploaded_at: facts.uploadedAt,
  picture: facts.picture,
});

const boundColumns = ({ sessionId, messageId }: FileBinding) => ({
  session_id: sessionId,
  ...(messageId !== undefined && { message_ids: [messageId] }),
});

const fileOf = (row: Published): StoredFile => ({
  id: row._id,
  userId: row.user_id,
  sessionId: row.session_id,
  messageIds: row.message_ids,
  name: row.name,
  mime: row.mime,
  type: row.upload_type,
  sizeBytes: row.size,
  uploadedAt: row.uploaded_at,
  picture: row.picture,
  place: { key: row.blob, storage: row.storages[0] ?? '' },
});
