import type { Mongo } from '@tollgate/mongo-kit';
import type { Instances } from '../../ports.ts';

interface Row {
  readonly _id: string;
  readonly alive_until: Date;
}

/** Which processes of this service live: one row each, written again and again. */
export function instancesIn(mongo: Mongo, instance: string): Instances {
  const rows = () => mongo.collection<Row>(COLLECTION);

  return {
    // Aside: a process whose connections are all busy lives, and must not be taken for dead.
    beat: (now, until) =>
      mongo.aside(async (db) => {
        const beats = db.collection<Row>(COLLECTION);
        await beats.updateOne({ _id: instance }, { $set: { alive_until: until } }, { upsert: true });
        await beats.deleteMany({ alive_until: { $lt: new Date(now.getTime() - KEPT_MS) } });
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

const COLLECTION = 'instances';
const KEPT_MS = 86_400_000;
