import type { Origin } from '@tollgate/http-kit';
import type { Mongo } from '@tollgate/mongo-kit';
import type { HoldId, Units, UserId } from '../domain/wire-types.ts';
import type { Ending, Journal, JournalRow } from '../ports.ts';
import { gatheredInserts, gatheredWrites } from './gathered-writes.ts';
import { ownerColumns } from './streams/owned.ts';

interface Row {
  readonly _id: HoldId;
  readonly user_id: UserId;
  /** Absent in the default workspace. */
  readonly workspace_id?: string;
  /** The process that answers for the row. */
  readonly instance: string;
  readonly state: 'open' | 'ending';
  readonly lease_until: Date;
  /** The lease that came with the newest checkpoint; nobody but the owner writes it. */
  readonly noted_until?: Date;
  readonly created_at: Date;
  readonly origin?: Origin;
  readonly fence?: number;
  readonly checkpoint?: Units;
  readonly ending?: Ending;
}

interface Conclusion {
  readonly filter: { readonly _id: HoldId };
  readonly update: { readonly $set: Pick<Row, 'state' | 'ending' | 'lease_until'> };
}

type Rows = ReturnType<typeof rowsIn>;
const rowsIn = (mongo: Mongo) => mongo.collection<Row>('open_holds');

/** The durable journal of holds: a row lives from before the hold is asked for until accounting has acknowledged its end. */
export function openHolds(mongo: Mongo, instance: string, defaultWorkspaceId: string): Journal {
  const rows = () => rowsIn(mongo);
  const { insert, conclude, strike } = writesOf(mongo, rows);

  return {
    open: ({ holdId, origin, ...owner }, leaseUntil) =>
      insert({
        _id: holdId,
        ...ownerColumns(owner, defaultWorkspaceId),
        instance,
        state: 'open',
        lease_until: leaseUntil,
        created_at: new Date(),
        ...(origin && { origin }),
      }),

    checkpoint: (notes, leaseUntil) =>
      mongo.run(async () => {
        const operations = notes.map(({ holdId, fence, units }) => ({
          updateOne: {
            // A write that was slow on its way must not undo a newer one.
            filter: { _id: holdId, instance, state: 'open' as const, noted_until: { $not: { $gt: leaseUntil } } },
            update: {
              $set: { fence, lease_until: leaseUntil, noted_until: leaseUntil, ...(units && { checkpoint: units }) },
            },
          },
        }));
        await rows().bulkWrite(operations, { ordered: false });
      }),

    async conclude({ holdId }, ending, leaseUntil) {
      const update = { $set: { state: 'ending' as const, ending, lease_until: leaseUntil } };
      await conclude({ filter: { _id: holdId }, update });
    },

    close: async (holdId) => void (await strike(holdId)),

    adopt: (now, leaseUntil, limit) => mongo.run(() => adopt(rows(), { instance, now, leaseUntil, limit })),

    standing: (before, after, limit) =>
      mongo.run(async () => {
        const found = await rows()
          .find({
            ...(after !== undefined && { _id: { $gt: after } }),
            created_at: { $lt: before },
            $or: [{ state: 'ending' }, { instance: { $ne: instance } }],
          })
          .sort({ _id: 1 })
          .limit(limit)
          .toArray();
        return found.map(({ _id, user_id, state }) => ({ holdId: _id, userId: user_id, isEnding: state === 'ending' }));
      }),

    has: (holdId) => mongo.run(async () => (await rows().countDocuments({ _id: holdId }, { limit: 1 })) > 0),

    count: () => mongo.run(() => rows().countDocuments({})),

    firstLeaseEnd: () =>
      mongo.run(async () => {
        const row = await rows().findOne({}, { sort: { lease_until: 1 }, projection: { lease_until: 1 } });
        return row?.lease_until;
      }),
  };
}

/** What every answer writes once. */
function writesOf(mongo: Mongo, rows: () => Rows) {
  const insert = gatheredInserts(mongo, rows);
  const conclude = gatheredWrites<Conclusion, unknown>(mongo, {
    one: ({ filter, update }) => rows().updateOne(filter, update),
    async many(some) {
      await rows().bulkWrite(
        some.map((updateOne) => ({ updateOne })),
        { ordered: false },
      );
      return some;
    },
  });
  const strike = gatheredWrites<HoldId, unknown>(mongo, {
    one: (_id) => rows().deleteOne({ _id }),
    async many(ids) {
      await rows().deleteMany({ _id: { $in: [...ids] } });
      return ids;
    },
    // A row that stands a little longer is harmless: closing its hold again changes nothing.
    isPatient: true,
  });
  return { insert, conclude, strike };
}

interface Adoption {
  readonly instance: string;
  readonly now: Date;
  readonly leaseUntil: Date;
  readonly limit: number;
}

async function adopt(rows: Rows, { instance, now, leaseUntil, limit }: Adoption): Promise<JournalRow[]> {
  const adopted: JournalRow[] = [];
  // A decided end is anybody's: also one of this process, which keeps only so many of them in its memory.
  const decided = { lease_until: { $lt: now }, state: 'ending' as const };
  // One's own answers are running, and another owner's row stays its owner's.
  const silent = { lease_until: { $lt: now }, state: 'open' as const, instance: { $ne: instance } };
  for (const [filter, update] of [
    [decided, { instance, lease_until: leaseUntil }],
    [silent, { lease_until: leaseUntil }],
  ] as const) {
    while (adopted.length < limit) {
      const row = await rows.findOneAndUpdate(filter, { $set: update }, { returnDocument: 'after' });
      if (!row) break;
      adopted.push(journalRowOf(row));
    }
  }
  return adopted;
}

const journalRowOf = ({ _id, user_id, origin, ending, checkpoint }: Row): JournalRow => ({
  holdId: _id,
  userId: user_id,
  ...(origin && { origin }),
  ...(ending && { ending }),
  ...(checkpoint && { checkpoint }),
});
