import { isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import type { Alerts } from '../../ports/audit.ts';

type AlertRow = Readonly<{ _id: string; quietUntil: Date }>;

/** Which alerts were raised a short time ago: the database says once for all instances whose turn it is. */
export function createAlerts(mongo: Mongo): Alerts {
  const rows = () => mongo.collection<AlertRow>('alerts');
  return {
    async claim(key, now, until) {
      const overdue = { _id: key, quietUntil: { $lte: now } };
      try {
        await rows().updateOne(overdue, { $set: { quietUntil: until } }, { upsert: true });
        return true;
      } catch (error) {
        // Raised, and quiet since: the insert of the upsert has met it.
        if (isDuplicate(error)) return false;
        throw error;
      }
    },
    async silence(key, until) {
      await rows().updateOne({ _id: key }, { $set: { quietUntil: until } });
    },
  };
}
