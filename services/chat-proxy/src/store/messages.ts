import { isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import type { AnswerEvent, MessageStatus } from '../domain/answer.ts';
import type { Credits, FileId, HoldId, SessionId, UserId } from '../domain/wire-types.ts';
import type { Messages, StoredMessage } from '../ports.ts';
import { cursorFrom, toCursor } from './cursor.ts';

interface Row {
  readonly _id: string;
  readonly session_id: SessionId;
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
  /** Absent in messages from before files were kept. */
  readonly file_ids?: readonly FileId[];
}

export function messagesIn(mongo: Mongo): Messages {
  const rows = () => mongo.collection<Row>('messages');

  return {
    save: (messages) =>
      mongo.run(async () => {
        try {
          await rows().insertMany(messages.map(rowOf), { ordered: false });
        } catch (error) {
          // A repetition of a save whose answer was lost: ids are made once per message.
          if (!isDuplicate(error)) throw error;
        }
      }),

    page: (sessionId, { limit, cursor }) =>
      mongo.run(async () => {
        const from = cursorFrom(cursor);
        const found = await rows()
          .find({
            session_id: sessionId,
            ...(from && { $or: [{ created_at: { $lt: from.at } }, { created_at: from.at, _id: { $gt: from.id } }] }),
          })
          .sort({ created_at: -1, _id: 1 })
          .limit(limit + 1)
          .toArray();
        const last = found.length > limit ? found[limit - 1] : undefined;
        return {
          messages: found.slice(0, limit).reverse().map(messageOf),
          nextCursor: last ? toCursor(last.created_at, last._id) : null,
        };
      }),

    deleteOf: (sessionIds) =>
      mongo.run(async () => (await rows().deleteMany({ session_id: { $in: [...sessionIds] } })).deletedCount),
  };
}

const rowOf = (message: StoredMessage): Row => ({
  _id: message.id,
  session_id: message.sessionId,
  user_id: message.userId,
  role: message.role,
  content: message.content,
  status: message.status,
  created_at: message.createdAt,
  credits: message.credits,
  usage: message.usage,
  request_id: message.requestId,
  events: JSON.stringify(message.events),
  ...(message.fileIds.length > 0 && { file_ids: message.fileIds }),
});

const messageOf = (row: Row): StoredMessage => ({
  id: row._id,
  sessionId: row.session_id,
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
