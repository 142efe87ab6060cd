import { randomUUID } from 'node:crypto';
import { isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import type { ChatflowId, HoldId, SessionId, UserId } from '../domain/wire-types.ts';
import type { mongo } from 'mongoose';
import type { Owner, Page, Session, SessionClaim, SessionRelease, Sessions } from '../ports.ts';
import { cursorFrom, toCursor } from './cursor.ts';

interface Row {
  readonly _id: SessionId;
  readonly user_id: UserId;
  /** Absent in the default workspace, and in conversations from before there were workspaces. */
  readonly workspace_id?: string;
  readonly chatflow_id: ChatflowId;
  readonly created_at: Date;
  readonly last_at: Date;
  readonly topic: string;
  readonly first_message: string;
  readonly message_count: number;
  /** Random, so that nobody can guess a conversation's memory at the upstream (T-F6). */
  readonly memory_id: string;
  readonly chat_ids: string[];
  /** The answer that runs in this session, and until when it is believed to. */
  readonly lease_id?: HoldId;
  readonly lease_until?: Date;
  readonly expires_at?: Date;
}

/** A conversation without stored messages is forgotten after this time. */
const UNSTORED_MS = 30 * 86_400_000;
const MOST_CHAT_IDS = 200;

export function sessionsIn(database: Mongo, defaultWorkspaceId: string): Sessions {
  const rows = () => database.collection<Row>('sessions');
  const owned = ({ userId, workspaceId = defaultWorkspaceId }: Owner) => ({
    user_id: userId,
    workspace_id: workspaceId === defaultWorkspaceId ? { $exists: false } : workspaceId,
  });
  const { claim, release } = leasesIn(rows, owned);

  async function list(owner: Owner, { limit, cursor }: Page): ReturnType<Sessions['list']> {
    const from = cursorFrom(cursor);
    const after = from && {
      $or: [{ last_at: { $lt: from.at } }, { last_at: from.at, _id: { $gt: from.id as SessionId } }],
    };
    const found = await rows()
      .find({ ...owned(owner), message_count: { $gt: 0 }, ...after })
      .sort({ last_at: -1, _id: 1 })
      .limit(limit + 1)
      .toArray();
    const last = found.length > limit ? found[limit - 1] : undefined;
    return {
      sessions: found.slice(0, limit).map(sessionOf),
      nextCursor: last ? toCursor(last.last_at, last._id) : null,
    };
  }

  return {
    claim: (wanted) => database.run(() => claim(wanted)),
    release: (released) => database.run(() => release(released)),

    renewLeases: (leaseIds, until) =>
      database.run(async () => {
        await rows().updateMany({ lease_id: { $in: [...leaseIds] } }, { $set: { lease_until: until } });
      }),

    find: (owner, id) =>
      database.run(async () => {
        const row = await rows().findOne({ _id: id, ...owned(owner), message_count: { $gt: 0 } });
        return row ? sessionOf(row) : undefined;
      }),

    list: (owner, page) => database.run(() => list(owner, page)),

    delete: (owner, id) =>
      database.run(async () => {
        const row = await rows().findOneAndDelete({ _id: id, ...owned(owner) });
        return row ? sessionOf(row) : undefined;
      }),

    deleteSome: (owner, limit) =>
      database.run(async () => {
        const found = await rows().find(owned(owner)).limit(limit).toArray();
        if (found.length > 0) await rows().deleteMany({ ...owned(owner), _id: { $in: found.map(({ _id }) => _id) } });
        return found.map(sessionOf);
      }),
  };
}

/** Who answers in a session at the moment: taken and given back in one atomic step each. */
function leasesIn(rows: () => mongo.Collection<Row>, owned: (owner: Owner) => mongo.Filter<Row>) {
  async function claim({ id, owner, chatflowId, lease, now }: SessionClaim): ReturnType<Sessions['claim']> {
    const memoryId = randomUUID();
    const own = { _id: id, ...owned(owner), chatflow_id: chatflowId };
    try {
      const row = await rows().findOneAndUpdate(
        { ...own, $or: [{ lease_until: { $exists: false } }, { lease_until: { $lt: now } }] },
        {
          $set: { lease_id: lease.id, lease_until: lease.until },
          $setOnInsert: {
            created_at: now,
            last_at: now,
            topic: '',
            first_message: '',
            message_count: 0,
            memory_id: memoryId,
            chat_ids: [memoryId],
            expires_at: new Date(now.getTime() + UNSTORED_MS),
          },
        },
        { upsert: true, returnDocument: 'after' },
      );
      // An upsert that returns the new document always returns one.
      return row ? { session: sessionOf(row), isNew: row.memory_id === memoryId } : 'not-found';
    } catch (error) {
      // The id exists, but not free and ours: the insert of the upsert has met it.
      if (!isDuplicate(error)) throw error;
      return (await rows().findOne(own, { projection: { _id: 1 } })) ? 'busy' : 'not-found';
    }
  }

  async function release({ id, leaseId, discard, freshChatId, stored }: SessionRelease): Promise<boolean> {
    if (discard) {
      await rows().deleteOne({ _id: id, lease_id: leaseId, message_count: 0 });
      return false;
    }
    const { matchedCount } = await rows().updateOne(
      { _id: id, lease_id: leaseId },
      {
        $unset: { lease_id: '', lease_until: '', ...(stored && { expires_at: '' }) },
        ...(stored && { $set: { last_at: stored.at }, $inc: { message_count: stored.messages } }),
        ...(freshChatId && { $push: { chat_ids: { $each: [freshChatId], $slice: -MOST_CHAT_IDS } } }),
      },
    );
    if (matchedCount === 0) return (await rows().countDocuments({ _id: id }, { limit: 1 })) > 0;
    if (stored) {
      const { topic, firstMessage } = stored;
      await rows().updateOne({ _id: id, topic: '' }, { $set: { topic, first_message: firstMessage } });
    }
    return true;
  }

  return { claim, release };
}

const sessionOf = (row: Row): Session => ({
  id: row._id,
  userId: row.user_id,
  chatflowId: row.chatflow_id,
  topic: row.topic,
  firstMessage: row.first_message,
  createdAt: row.created_at,
  upstreamChatIds: row.chat_ids,
  upstreamMemoryId: row.memory_id,
  messageCount: row.message_count,
});
