import { type Mongo, unlessDuplicate } from '@tollgate/mongo-kit';
import type { Turns } from '../ports.ts';

interface Row {
  readonly _id: string;
  /** Nobody else's turn before. */
  readonly until: Date;
}

export function turnsIn(mongo: Mongo): Turns {
  const rows = () => mongo.collection<Row>('background_turns');

  return {
    // The turn of another one runs: the insert of the upsert has met it.
    take: (task, now, until) =>
      mongo.run(() =>
        unlessDuplicate(rows().updateOne({ _id: task, until: { $lte: now } }, { $set: { until } }, { upsert: true })),
      ),
  };
}
