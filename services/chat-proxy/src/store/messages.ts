import { isDuplicate, isOverTime, type Mongo } from '@tollgate/mongo-kit';
import type { mongo } from 'mongoose';
import { toCursor } from '../domain/cursor.ts';
import type { AnswerEvent, MessageStatus } from '../domain/answer.ts';
import type { Credits, FileId, HoldId, SessionId, UserId } from '../domain/wire-types.ts';
import type { Messages, OneSession, StoredMessage } from '../ports.ts';
import { cursorFrom } from './cursor.ts';
import { gatheredWrites } from './gathered-writes.ts';
import { containing } from './search.ts';

interface Row {
  readonly _id: string;
  readonly session_id: SessionId;
  /** Absent in messages from before it was kept. */
  readonly memory_id?: string;
  readonly user_id: UserId;
  readonly role: 'user' | 'assistant';
  readonly content: string;
  readonly status: MessageStatus;
  readonly created_at: Date;
  readonly credits: Credits | null;
  readonly usage: StoredMessage['usage'];
  readonly request_id: HoldId | null;
  /** As JSON: events are for showing only, and the text of others must not become field names of ours. */
  readonly events: string;
  readonly upstream_message_id?: string;
  /** Absent in messages from before files were kept. */
  readonly file_ids?: readonly FileId[];
}

/** Milliseconds of the database for one search. */
const SEARCH_MS = 500;

/** Of this very conversation: one that had the same id before may have left something. */
const of = (session: OneSession): mongo.Filter<Row> => ({
  session_id: session.id,
  $or: [{ memory_id: session.upstreamMemoryId }, { memory_id: { $exists: false } }],
});

export function messagesIn(database: Mongo): Messages {
  const rows = () => database.collection<Row>('messages');
  const put = gatheredWrites<readonly StoredMessage[], unknown>(database, {
    one: (messages) => putAll(rows(), messages),
    async many(some) {
      await putAll(rows(), some.flat());
      return some;
    },
  });

  return {
    save: async (messages) => void (await put(messages)),

    saveMissing: (messages) =>
      database.run(async () => {
        try {
          await rows().insertMany(messages.map(rowOf), { ordered: false });
        } catch (error) {
          if (!isDuplicate(error)) throw error;
        }
      }),

    page: (session, { limit, cursor }) =>
      database.run(async () => {
        const from = cursorFrom(cursor);
        const found = await rows()
          .find(from ? { $and: [of(session), olderThan(from)] } : of(session))
          .sort({ created_at: -1, _id: 1 })
          .limit(limit + 1)
          .toArray();
        const { some, nextCursor } = cut(found, limit);
        return { messages: some.reverse(), nextCursor };
      }),

    pageOn: (session, { limit, cursor }) =>
      database.run(async () => {
        const from = cursorFrom(cursor);
        const found = await rows()
          .find(from ? { $and: [of(session), newerThan(from)] } : of(session))
          // The same index, read the other way.
          .sort({ created_at: 1, _id: -1 })
          .limit(limit + 1)
          .toArray();
        const { some, nextCursor } = cut(found, limit);
        return { messages: some, nextCursor };
      }),

    sessionsWith: (text, sessions) =>
      database.run(async () => {
        const stages = [
          { $match: { ...ofAll(sessions), content: containing(text) } },
          { $group: { _id: '$session_id' } },
        ];
        try {
          const found = await rows().aggregate<{ _id: SessionId }>(stages, { maxTimeMS: SEARCH_MS }).toArray();
          return new Set(found.map(({ _id }) => _id));
        } catch (error) {
          if (isOverTime(error)) return 'too-much';
          throw error;
        }
      }),

    deleteOf: (sessions) =>
      database.run(async () => {
        // Ratings are words about these messages.
        await database.collection<Row>('message_feedback').deleteMany(ofAll(sessions));
        return (await rows().deleteMany(ofAll(sessions))).deletedCount;
      }),
  };
}

/** They are new as a rule: only those that are there already are looked for. */
async function putAll(rows: mongo.Collection<Row>, messages: readonly StoredMessage[]): Promise<void> {
  const all = messages.map(rowOf);
  try {
    await rows.insertMany(all, { ordered: false });
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    const writes = all.map((row) => ({ replaceOne: { filter: { _id: row._id }, replacement: row, upsert: true } }));
    await rows.bulkWrite(writes, { ordered: false });
  }
}

type Place = NonNullable<ReturnType<typeof cursorFrom>>;

const olderThan = ({ at, id }: Place): mongo.Filter<Row> => ({
  $or: [{ created_at: { $lt: at } }, { created_at: at, _id: { $gt: id } }],
});

const newerThan = ({ at, id }: Place): mongo.Filter<Row> => ({
  $or: [{ created_at: { $gt: at } }, { created_at: at, _id: { $lt: id } }],
});

const ofAll = (sessions: readonly OneSession[]): mongo.Filter<Row> => ({
  session_id: { $in: sessions.map(({ id }) => id) },
  $or: [{ memory_id: { $in: sessions.map((session) => session.upstreamMemoryId) } }, { memory_id: { $exists: false } }],
});

/** What is shown of what was found, and where the rest begins. */
function cut(found: readonly Row[], limit: number): { some: StoredMessage[]; nextCursor: string | null } {
  const last = found.length > limit ? found[limit - 1] : undefined;
  return {
    some: found.slice(0, limit).map(messageOf),
    nextCursor: last ? toCursor(last.created_at, last._id) : null,
  };
}

const rowOf = (message: StoredMessage): Row => ({
  _id: message.id,
  session_id: message.sessionId,
  memory_id: message.upstreamMemoryId,
  user_id: message.userId,
  role: message.role,
  content: message.content,
  status: message.status,
  created_at: message.createdAt,
  credits: message.credits,
  usage: message.usage,
  request_id: message.requestId,
  events: JSON.stringify(message.events),
  ...(message.upstreamMessageId !== undefined && { upstream_message_id: message.upstreamMessageId }),
  ...(message.fileIds.length > 0 && { file_ids: message.fileIds }),
});

const messageOf = (row: Row): StoredMessage => ({
  id: row._id,
  sessionId: row.session_id,
  upstreamMemoryId: row.memory_id ?? '',
  userId: row.user_id,
  role: row.role,
  content: row.content,
  status: row.status,
  createdAt: row.created_at,
  credits: row.credits,
  usage: row.usage,
  requestId: row.request_id,
  events: JSON.parse(row.events) as AnswerEvent[], // written by rowOf and by nobody else
  fileIds: row.file_ids ?? [],
});
