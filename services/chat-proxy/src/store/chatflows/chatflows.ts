import { isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import type { Chatflow } from '../../domain/chatflow.ts';
import { isPublic } from '../../domain/chatflow.ts';
import { KEEPS_ALL, type Storage, stricter } from '../../domain/storage.ts';
import type { ChatflowId, UserId } from '../../domain/wire-types.ts';
import type { mongo } from 'mongoose';
import type { ChatflowChanges, Chatflows, FoundChatflow, Owner, Retention } from '../../ports.ts';
import { assignmentsIn } from './assignments.ts';
import {
  type ChatflowRow,
  chatflowOf,
  columnsOf,
  columnsOfChanges,
  FIRST_SETTINGS,
  foundColumnsOf,
} from './chatflow-row.ts';
import { type Remembered, remembered } from './remembered.ts';
import { workspacesIn } from './workspaces.ts';

export interface ChatflowStoreOptions {
  /** Milliseconds for which another process's change may stay unseen. */
  readonly freshMs: number;
  readonly defaultWorkspaceId: string;
}

const MOST_CHATFLOWS = 10_000;
const MOST_REMEMBERED = 20_000;

export function chatflowsIn(database: Mongo, { freshMs, defaultWorkspaceId }: ChatflowStoreOptions): Chatflows {
  const rows = () => database.collection<ChatflowRow>('chatflows');
  const assignments = assignmentsIn(database);
  const workspaces = workspacesIn(database);
  const parts = {
    rows,
    assignments,
    workspaces,
    known: knownIn(database, { rows, assignments, workspaces }, freshMs),
    workspaceOf: ({ workspaceId = defaultWorkspaceId }: Owner) => workspaceId,
  };
  const read = readingIn(parts);
  const write = writingIn(parts);

  return {
    findFor: read.findFor,
    listFor: (caller) => database.run(() => read.listFor(caller)),
    assignedTo: (caller) => database.run(() => read.assignedTo(caller)),
    find: (id) => database.run(() => read.find(id)),
    list: (options) => database.run(() => read.list(options)),
    configure: (id, changes) => database.run(() => write.configure(id, changes)),
    save: (found, at) => database.run(() => write.save(found, at)),
    markDeleted: (ids, at) => database.run(() => write.markDeleted(ids, at)),
    users: (id) => database.run(() => assignments.ofChatflow(id)),
    assign: (id, user, at) => database.run(() => assignments.assign(id, user, at)),
    unassign: (id, email) => database.run(() => write.unassign(id, email)),
    renameUser: (user) => database.run(() => assignments.rename(user)),
    forgetUser: (userId) => database.run(() => assignments.forget(userId)),
    workspaces: (id) => database.run(() => workspaces.ofChatflow(id)),
    assignWorkspace: (id, workspaceId, at) => database.run(() => workspaces.assign(id, workspaceId, at)),
    unassignWorkspace: (id, workspaceId) => database.run(() => write.unassignWorkspace(id, workspaceId)),
    storageOf: (workspaceId) => database.run(() => workspaces.storageOf(workspaceId)),
    retentions: () => database.run(() => read.retentions()),
    setStorage: (workspaceId, storage) => database.run(() => write.setStorage(workspaceId, storage)),
  };
}

interface Collections {
  readonly rows: () => mongo.Collection<ChatflowRow>;
  readonly assignments: ReturnType<typeof assignmentsIn>;
  readonly workspaces: ReturnType<typeof workspacesIn>;
}

interface Parts extends Collections {
  readonly workspaceOf: (owner: Owner) => string;
  readonly known: Known;
}

/** What the chat path asks for, each apart from the others, so that what all users have in common is read for all of them once. */
interface Known {
  readonly active: Remembered<Chatflow>;
  readonly storage: Remembered<Storage>;
  /** By an `AssignmentKey` as JSON. */
  readonly assigned: Remembered<object>;
  /** A change of this process is seen at once. */
  clear(): void;
}

function knownIn({ run }: Pick<Mongo, 'run'>, { rows, assignments, workspaces }: Collections, freshMs: number): Known {
  const active = remembered<Chatflow>(
    async (id) => {
      const row = await run(() => rows().findOne({ _id: id as ChatflowId, sync_status: 'active' }));
      return row ? chatflowOf(row) : undefined;
    },
    { freshMs, most: MOST_CHATFLOWS },
  );
  const storage = remembered<Storage>((workspaceId) => run(() => workspaces.storageOf(workspaceId)), {
    freshMs,
    most: MOST_REMEMBERED,
  });
  const assigned = remembered<object>(
    async (key) => {
      const { userId, workspaceId, id } = JSON.parse(key) as AssignmentKey; // as `usableBy` has written it
      const both = await run(() => Promise.all([assignments.has(userId, id), workspaces.has(workspaceId, id)]));
      return both.includes(true) ? {} : undefined;
    },
    { freshMs, most: MOST_REMEMBERED },
  );
  return {
    active,
    storage,
    assigned,
    clear: () => [active, storage, assigned].forEach((each) => each.clear()),
  };
}

interface AssignmentKey {
  readonly userId: UserId;
  readonly workspaceId: string;
  readonly id: ChatflowId;
}

function readingIn({ rows, assignments, workspaces, known, workspaceOf }: Parts) {
  /** By both kinds of assignment; the user's own one says since when. */
  async function assignedSince(caller: Owner): Promise<Map<ChatflowId, Date>> {
    const both = await Promise.all([workspaces.ofWorkspace(workspaceOf(caller)), assignments.ofUser(caller.userId)]);
    return new Map(both.flat().map(({ chatflowId, assignedAt }) => [chatflowId, assignedAt]));
  }

  /** A refusal is never remembered: who is let in elsewhere may come in at once. */
  async function usableBy(caller: Owner, id: ChatflowId): Promise<Chatflow | undefined> {
    const chatflow = await known.active.read(id);
    if (!chatflow || isPublic(chatflow)) return chatflow;
    const key: AssignmentKey = { userId: caller.userId, workspaceId: workspaceOf(caller), id };
    if (await known.assigned.read(JSON.stringify(key))) return chatflow;
    const fresh = await known.active.readAnew(id);
    return fresh && isPublic(fresh) ? fresh : undefined;
  }

  const inOrder = async (filter: mongo.Filter<ChatflowRow>): Promise<Chatflow[]> =>
    (await rows().find(filter).sort({ name: 1, _id: 1 }).limit(MOST_CHATFLOWS).toArray()).map(chatflowOf);

  return {
    async findFor(caller: Owner, id: ChatflowId): Promise<Chatflow | undefined> {
      const [chatflow, storage] = await Promise.all([usableBy(caller, id), known.storage.read(workspaceOf(caller))]);
      if (!chatflow) return undefined;
      const both = stricter(chatflow.storage, storage ?? KEEPS_ALL);
      // The remembered one itself, where it says all: answers keep their chatflow for as long as they take.
      return both === chatflow.storage ? chatflow : { ...chatflow, storage: both };
    },

    async listFor(caller: Owner): Promise<Chatflow[]> {
      const assigned = [...(await assignedSince(caller)).keys()];
      return inOrder({
        sync_status: 'active',
        $or: [{ public_override: true }, { public_override: null, upstream_public: true }, { _id: { $in: assigned } }],
      });
    },

    async assignedTo(caller: Owner): Promise<{ chatflow: Chatflow; assignedAt: Date }[]> {
      const assigned = await assignedSince(caller);
      const found = await inOrder({ _id: { $in: [...assigned.keys()] }, sync_status: 'active' });
      return found.map((chatflow) => ({ chatflow, assignedAt: assigned.get(chatflow.id) ?? chatflow.syncedAt }));
    },

    async find(id: ChatflowId): Promise<Chatflow | undefined> {
      const row = await rows().findOne({ _id: id });
      return row ? chatflowOf(row) : undefined;
    },

    async retentions(): Promise<Retention[]> {
      const limited = rows()
        .find({ retention_days: { $gt: 0 } })
        .limit(MOST_CHATFLOWS);
      const [ofChatflows, ofWorkspaces] = await Promise.all([limited.toArray(), workspaces.retentions()]);
      return [
        ...ofChatflows.map(({ _id, retention_days: days }) => ({
          of: 'chatflow' as const,
          chatflowId: _id,
          days: Number(days),
        })),
        ...ofWorkspaces.map((each) => ({ of: 'workspace' as const, ...each })),
      ];
    },

    list: ({ includeDeleted }: { includeDeleted: boolean }): Promise<Chatflow[]> =>
      inOrder(includeDeleted ? {} : { sync_status: { $ne: 'deleted' } }),
  };
}

function writingIn({ rows, assignments, workspaces, known }: Parts) {
  return {
    async configure(id: ChatflowId, changes: ChatflowChanges): Promise<Chatflow | undefined> {
      const $set = columnsOfChanges(changes);
      const row =
        Object.keys($set).length === 0
          ? await rows().findOne({ _id: id })
          : await rows().findOneAndUpdate({ _id: id }, { $set }, { returnDocument: 'after' });
      known.clear();
      return row ? chatflowOf(row) : undefined;
    },

    async save(found: FoundChatflow, at: Date): ReturnType<Chatflows['save']> {
      const columns = columnsOf(found);
      const $set = { ...columns, synced_at: at, sync_status: 'active' as const, sync_error: null };
      const before = await rows()
        .findOneAndUpdate(
          { _id: found.id, synced_at: { $lte: at } },
          { $set, $setOnInsert: FIRST_SETTINGS },
          { upsert: true, returnDocument: 'before' },
        )
        .catch((error: unknown) => {
          // It is there, and was looked at later than we have: the insert of the upsert has met it.
          if (isDuplicate(error)) return 'newer' as const;
          throw error;
        });
      if (before === 'newer') return 'unchanged';
      if (!before) return 'created';
      const isSame =
        before.sync_status === 'active' && JSON.stringify(foundColumnsOf(before)) === JSON.stringify(columns);
      if (!isSame) known.clear();
      return isSame ? 'unchanged' : 'updated';
    },

    async markDeleted(ids: readonly ChatflowId[], at: Date): Promise<void> {
      const older = { _id: { $in: [...ids] }, synced_at: { $lte: at } };
      await rows().updateMany(older, { $set: { sync_status: 'deleted', synced_at: at } });
      known.clear();
    },

    async unassign(id: ChatflowId, email: string): Promise<boolean> {
      const was = await assignments.unassign(id, email);
      known.clear();
      return was;
    },

    async unassignWorkspace(id: ChatflowId, workspaceId: string): Promise<boolean> {
      const was = await workspaces.unassign(id, workspaceId);
      known.clear();
      return was;
    },

    async setStorage(workspaceId: string, storage: Storage): Promise<void> {
      await workspaces.setStorage(workspaceId, storage);
      known.clear();
    },
  };
}
