import type { Mongo } from '@tollgate/mongo-kit';
import type { UserId } from '../domain/wire-types.ts';
import type { Erasures } from '../ports.ts';

interface Row {
  readonly _id: UserId;
  readonly due_at: Date;
}

export function erasuresIn(mongo: Mongo): Erasures {
  const rows = () => mongo.collection<Row>('user_erasures');

  return {
    add: (userIds, at) =>
      mongo.run(async () => {
        const writes = userIds.map((userId) => ({
          // The first one to hear of it says when.
          updateOne: { filter: { _id: userId }, update: { $setOnInsert: { due_at: at } }, upsert: true },
        }));
        await rows().bulkWrite(writes, { ordered: false });
      }),

    due: (now) =>
      mongo.run(async () => (await rows().findOne({ due_at: { $lte: now } }, { sort: { due_at: 1 } }))?._id),

    remove: (userId) =>
      mongo.run(async () => {
        await rows().deleteOne({ _id: userId });
      }),
  };
}
