import { isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import type { ChatflowId, HoldId, SessionId, UserId } from '../../domain/wire-types.ts';
import type { Feedback, Feedbacks, RatedAnswer } from '../../ports.ts';

interface Row {
  readonly _id: string;
  readonly user_id: UserId;
  readonly session_id: SessionId;
  readonly memory_id: string;
  readonly chatflow_id: ChatflowId;
  readonly chat_id: string;
  readonly request_id: HoldId;
  readonly rating: Feedback['rating'];
  readonly content: string;
  readonly created_at: Date;
  readonly upstream_id?: string;
}

interface AnswerRow extends Pick<Row, 'session_id' | 'request_id'> {
  readonly role: string;
  readonly memory_id?: string;
  readonly upstream_message_id?: string;
}

export function feedbacksIn(mongo: Mongo): Feedbacks {
  const rows = () => mongo.collection<Row>('message_feedback');
  const messages = () => mongo.collection<AnswerRow>('messages');

  async function put({ userId, requestId, rating, content, ...first }: Feedback): Promise<Feedback> {
    const row = await rows().findOneAndUpdate(
      { user_id: userId, request_id: requestId },
      {
        $set: { rating, content },
        $setOnInsert: {
          _id: first.id,
          session_id: first.sessionId,
          memory_id: first.upstreamMemoryId,
          chatflow_id: first.chatflowId,
          chat_id: first.chatId,
          created_at: first.createdAt,
        },
      },
      { upsert: true, returnDocument: 'after' },
    );
    if (!row) throw new Error('an upsert that returns the new document returned none');
    return feedbackOf(row);
  }

  return {
    findAnswer: (sessionId, requestId) =>
      mongo.run(async () => {
        const wanted = { session_id: sessionId, request_id: requestId, role: 'assistant' };
        const row = await messages().findOne(wanted, { projection: { memory_id: 1, upstream_message_id: 1 } });
        return row ? answerOf(row) : undefined;
      }),

    put: (feedback) =>
      mongo.run(async () => {
        try {
          return await put(feedback);
        } catch (error) {
          // Somebody inserted it at the same moment: now it is there to be changed.
          if (!isDuplicate(error)) throw error;
          return put(feedback);
        }
      }),

    find: (userId, id) =>
      mongo.run(async () => {
        const row = await rows().findOne({ _id: id, user_id: userId });
        return row ? feedbackOf(row) : undefined;
      }),

    change: (userId, id, change) =>
      mongo.run(async () => {
        const own = { _id: id, user_id: userId };
        const row =
          Object.keys(change).length === 0
            ? await rows().findOne(own)
            : await rows().findOneAndUpdate(own, { $set: change }, { returnDocument: 'after' });
        return row ? feedbackOf(row) : undefined;
      }),

    name: (id, upstreamId) =>
      mongo.run(async () => {
        await rows().updateOne({ _id: id }, { $set: { upstream_id: upstreamId } });
      }),
  };
}

const answerOf = (row: AnswerRow): RatedAnswer => ({
  upstreamMemoryId: row.memory_id ?? '',
  upstreamMessageId: row.upstream_message_id,
});

const feedbackOf = (row: Row): Feedback => ({
  id: row._id,
  userId: row.user_id,
  sessionId: row.session_id,
  upstreamMemoryId: row.memory_id,
  chatflowId: row.chatflow_id,
  chatId: row.chat_id,
  requestId: row.request_id,
  rating: row.rating,
  content: row.content,
  createdAt: row.created_at,
  upstreamId: row.upstream_id,
});
