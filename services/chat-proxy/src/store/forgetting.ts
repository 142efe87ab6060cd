import { randomUUID } from 'node:crypto';
import type { Mongo } from '@tollgate/mongo-kit';
import type { ChatflowId } from '../domain/wire-types.ts';
import type { Forgetting } from '../ports.ts';

interface Row {
  readonly _id: string;
  readonly chatflow_id: ChatflowId;
  readonly chat_id: string;
  readonly attempts: number;
  readonly due_at: Date;
}

export function forgettingIn(mongo: Mongo): Forgetting {
  const rows = () => mongo.collection<Row>('upstream_forgets');

  return {
    add: (chats, at) =>
      mongo.run(async () => {
        const notes = chats.map(({ chatflowId, chatId }) => ({
          _id: randomUUID(),
          chatflow_id: chatflowId,
          chat_id: chatId,
          attempts: 0,
          due_at: at,
        }));
        await rows().insertMany(notes, { ordered: false });
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
        return taken
          ? { id: due._id, chatflowId: due.chatflow_id, chatId: due.chat_id, attempts: due.attempts }
          : undefined;
      }),

    remove: (id) =>
      mongo.run(async () => {
        await rows().deleteOne({ _id: id });
      }),
  };
}
