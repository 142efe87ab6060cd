import { randomUUID } from 'node:crypto';
import type { Mongo } from '@tollgate/mongo-kit';
import type { ChatflowId, SessionId, UserId } from '../domain/wire-types.ts';
import type { Forgetting, TakenNote } from '../ports.ts';

interface Row {
  readonly _id: string;
  readonly chatflow_id: ChatflowId;
  readonly chat_id?: string;
  readonly session_id?: SessionId;
  readonly user_id?: UserId;
  readonly memory_id?: string;
  readonly attempts: number;
  readonly due_at: Date;
}

export function forgettingIn(mongo: Mongo): Forgetting {
  const rows = () => mongo.collection<Row>('upstream_forgets');

  return {
    add: (notes) =>
      mongo.run(async () => {
        if (notes.length === 0) return;
        const some = notes.map(({ chatflowId, chatId, session, at }) => ({
          _id: randomUUID(),
          chatflow_id: chatflowId,
          ...(chatId !== undefined && { chat_id: chatId }),
          ...(session && {
            session_id: session.id,
            user_id: session.userId,
            memory_id: session.upstreamMemoryId,
          }),
          attempts: 0,
          due_at: at,
        }));
        await rows().insertMany(some, { ordered: false });
      }),

    take: (now, { firstMs, longestMs }) =>
      mongo.run(async () => {
        const due = await rows().findOne({ due_at: { $lte: now } }, { sort: { due_at: 1 } });
        if (!due) return undefined;
        const wait = Math.min(longestMs, firstMs * 2 ** due.attempts);
        const taken = await rows().findOneAndUpdate(
          { _id: due._id, attempts: due.attempts },
          { $set: { due_at: new Date(now.getTime() + wait) }, $inc: { attempts: 1 } },
        );
        return taken ? noteOf(due) : undefined;
      }),

    remove: (id) =>
      mongo.run(async () => {
        await rows().deleteOne({ _id: id });
      }),
  };
}

const noteOf = (row: Row): TakenNote => ({
  id: row._id,
  chatflowId: row.chatflow_id,
  attempts: row.attempts,
  at: row.due_at,
  ...(row.chat_id !== undefined && { chatId: row.chat_id }),
  ...(row.session_id !== undefined &&
    row.user_id !== undefined &&
    row.memory_id !== undefined && {
      session: { id: row.session_id, userId: row.user_id, upstreamMemoryId: row.memory_id },
    }),
});
