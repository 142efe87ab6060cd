import type { Mongo } from '@tollgate/mongo-kit';
import type { Instances } from '../../ports.ts';

interface Row {
  readonly _id: string;
  readonly alive_until: Date;
}

/** Which processes of this service live: one row each, written again and again. */
export function instancesIn(mongo: Mongo, instance: string): Instances {
  const rows = () => mongo.collection<Row>('instances');

  return {
    beat: (now, until) =>
      mongo.run(async () => {
        await rows().updateOne({ _id: instance }, { $set: { alive_until: until } }, { upsert: true });
        await rows().deleteMany({ alive_until: { $lt: new Date(now.getTime() - KEPT_MS) } });
      }),

    isAlive: (other, now) =>
      mongo.run(
        async () => other === instance || (await rows().findOne({ _id: other, alive_until: { $gt: now } })) !== null,
      ),

    leave: () =>
      mongo.run(async () => {
        await rows().deleteOne({ _id: instance });
      }),
  };
}

const KEPT_MS = 86_400_000;
