import { LRUCache } from 'lru-cache';
import { isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import type { Chatflow } from '../../domain/chatflow.ts';
import { isPublic } from '../../domain/chatflow.ts';
import { type Storage, stricter } from '../../domain/storage.ts';
import type { ChatflowId } from '../../domain/wire-types.ts';
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
import { workspacesIn } from './workspaces.ts';

export interface ChatflowStoreOptions {
  /** Milliseconds for which another process's change may stay unseen. */
  readonly freshMs: number;
  readonly defaultWorkspaceId: string;
}

const MOST_CHATFLOWS = 10_000;
const MOST_REMEMBERED = 20_000;

export function chatflowsIn(database: Mongo, { freshMs, defaultWorkspaceId }: ChatflowStoreOptions): Chatflows {
  // The chat path asks for the same few chatflows all the time. A refusal is not remembered: a new assignment works at once.
  // (For the cache 0 means for ever.)
  const usable = new LRUCache<string, Chatflow>({ max: MOST_REMEMBERED, ttl: Math.max(1, freshMs) });
  const parts = {
    rows: () => database.collection<ChatflowRow>('chatflows'),
    assignments: assignmentsIn(database),
    workspaces: workspacesIn(database),
    usable,
    workspaceOf: ({ workspaceId = defaultWorkspaceId }: Owner) => workspaceId,
  };
  const { assignments, workspaces } = parts;
  const read = readingIn(parts);
  const write = writingIn(parts);

  return {
    findFor: (caller, id) => database.run(() => read.findFor(caller, id)),
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

interface Parts {
  readonly rows: () => mongo.Collection<ChatflowRow>;
  readonly assignments: ReturnType<typeof assignmentsIn>;
  readonly workspaces: ReturnType<typeof workspacesIn>;
  readonly workspaceOf: (owner: Owner) => string;
  /** Chatflows by workspace, user and id, for as long as a change elsewhere may stay unseen. */
  readonly usable: LRUCache<string, Chatflow>;
}

function readingIn({ rows, assignments, workspaces, usable, workspaceOf }: Parts) {
  /** By both kinds of assignment; the user's own one says since when. */
  async function assignedSince(caller: Owner): Promise<Map<ChatflowId, Date>> {
    const both = await Promise.all([workspaces.ofWorkspace(workspaceOf(caller)), assignments.ofUser(caller.userId)]);
    return new Map(both.flat().map(({ chatflowId, assignedAt }) => [chatflowId, assignedAt]));
  }

  const isAssigned = async ({ userId }: Owner, workspaceId: string, id: ChatflowId): Promise<boolean> =>
    (await Promise.all([assignments.has(userId, id), workspaces.has(workspaceId, id)])).includes(true);

  const inOrder = async (filter: mongo.Filter<ChatflowRow>): Promise<Chatflow[]> =>
    (await rows().find(filter).sort({ name: 1, _id: 1 }).limit(MOST_CHATFLOWS).toArray()).map(chatflowOf);

  return {
    async findFor(caller: Owner, id: ChatflowId): Promise<Chatflow | undefined> {
      const workspaceId = workspaceOf(caller);
      const key = `${workspaceId} ${caller.userId} ${id}`;
      // What is read now is as old as the question, whatever the database takes for its answer.
      const start = performance.now();
      const remembered = usable.get(key);
      if (remembered) return remembered;
      const [row, storage] = await Promise.all([
        rows().findOne({ _id: id, sync_status: 'active' }),
        workspaces.storageOf(workspaceId),
      ]);
      if (!row) return undefined;
      const own = chatflowOf(row);
      if (!isPublic(own) && !(await isAssigned(caller, workspaceId, id))) return undefined;
      const chatflow = { ...own, storage: stricter(own.storage, storage) };
      usable.set(key, chatflow, { start });
      return chatflow;
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

function writingIn({ rows, assignments, workspaces, usable }: Parts) {
  return {
    async configure(id: ChatflowId, changes: ChatflowChanges): Promise<Chatflow | undefined> {
      const $set = columnsOfChanges(changes);
      const row =
        Object.keys($set).length === 0
          ? await rows().findOne({ _id: id })
          : await rows().findOneAndUpdate({ _id: id }, { $set }, { returnDocument: 'after' });
      usable.clear();
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
      if (!isSame) usable.clear();
      return isSame ? 'unchanged' : 'updated';
    },

    async markDeleted(ids: readonly ChatflowId[], at: Date): Promise<void> {
      const older = { _id: { $in: [...ids] }, synced_at: { $lte: at } };
      await rows().updateMany(older, { $set: { sync_status: 'deleted', synced_at: at } });
      usable.clear();
    },

    async unassign(id: ChatflowId, email: string): Promise<boolean> {
      const was = await assignments.unassign(id, email);
      usable.clear();
      return was;
    },

    async unassignWorkspace(id: ChatflowId, workspaceId: string): Promise<boolean> {
      const was = await workspaces.unassign(id, workspaceId);
      usable.clear();
      return was;
    },

    async setStorage(workspaceId: string, storage: Storage): Promise<void> {
      await workspaces.setStorage(workspaceId, storage);
      usable.clear();
    },
  };
}
