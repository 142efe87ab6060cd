import type { Mongo } from '@tollgate/mongo-kit';
import type { StrikeCounts } from '../ports.ts';

interface Row {
  /** User and end of the window: a new window is a new row. */
  readonly _id: string;
  readonly count: number;
  /** When the row may go; nothing depends on it. */
  readonly expires_at: Date;
}

const DUPLICATE = 11_000;

export function strikesIn(mongo: Mongo): StrikeCounts {
  const count = async (_id: string, windowEnd: Date): Promise<number> => {
    const row = await mongo
      .collection<Row>('strikes')
      .findOneAndUpdate(
        { _id },
        { $inc: { count: 1 }, $setOnInsert: { expires_at: windowEnd } },
        { upsert: true, returnDocument: 'after' },
      );
    return row?.count ?? 1;
  };
  return {
    add: (userId, windowEnd) =>
      mongo.run(async () => {
        const id = `${userId} ${windowEnd.getTime()}`;
        try {
          return await count(id, windowEnd);
        } catch (error) {
          // Two first strikes at once: one of them has made the row.
          if (Object(error).code !== DUPLICATE) throw error;
          return await count(id, windowEnd);
        }
      }),
  };
}
