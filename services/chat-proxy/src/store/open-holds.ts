import type { HoldId, Units, UserId } from '../domain/wire-types.ts';
import type { Ending, Journal } from '../ports.ts';
import type { Mongo } from './mongo.ts';

interface Row {
  readonly _id: HoldId;
  readonly user_id: UserId;
  /** The process that answers for the row. */
  readonly instance: string;
  readonly state: 'open' | 'ending';
  readonly lease_until: Date;
  readonly created_at: Date;
  readonly fence?: number;
  readonly checkpoint?: Units;
  readonly ending?: Ending;
}

/** The durable journal of holds: a row lives from before the hold is asked for until accounting has acknowledged its end. */
export function openHolds(mongo: Mongo, instance: string): Journal {
  const rows = () => mongo.collection<Row>('open_holds');

  return {
    open: ({ holdId, userId }, leaseUntil) =>
      mongo.run(async () => {
        await rows().insertOne({
          _id: holdId,
          user_id: userId,
          instance,
          state: 'open',
          lease_until: leaseUntil,
          created_at: new Date(),
        });
      }),

    checkpoint: (notes, leaseUntil) =>
      mongo.run(async () => {
        const operations = notes.map(({ holdId, fence, units }) => ({
          updateOne: {
            filter: { _id: holdId, instance, state: 'open' as const },
            update: { $set: { fence, lease_until: leaseUntil, ...(units && { checkpoint: units }) } },
          },
        }));
        await rows().bulkWrite(operations, { ordered: false });
      }),

    conclude: ({ holdId }, ending, leaseUntil) =>
      mongo.run(async () => {
        await rows().updateOne({ _id: holdId }, { $set: { state: 'ending', ending, lease_until: leaseUntil } });
      }),

    close: (holdId) =>
      mongo.run(async () => {
        await rows().deleteOne({ _id: holdId });
      }),

    adopt: (now, leaseUntil, limit) =>
      mongo.run(async () => {
        const adopted = [];
        while (adopted.length < limit) {
          // What this process answers for itself is in its memory, and must not be ended twice.
          const row = await rows().findOneAndUpdate(
            { lease_until: { $lt: now }, instance: { $ne: instance } },
            { $set: { instance, lease_until: leaseUntil } },
            { returnDocument: 'after' },
          );
          if (!row) break;
          adopted.push({
            holdId: row._id,
            userId: row.user_id,
            ...(row.ending && { ending: row.ending }),
            ...(row.checkpoint && { checkpoint: row.checkpoint }),
          });
        }
        return adopted;
      }),

    count: () => mongo.run(() => rows().countDocuments({})),
  };
}
