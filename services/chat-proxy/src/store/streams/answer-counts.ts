import { isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import type { HoldId } from '../../domain/wire-types.ts';
import type { AnswerSlots, RateCounts } from '../../ports.ts';

interface CountRow {
  readonly _id: string;
  readonly count: number;
  readonly expires_at: Date;
}

/** How often something was asked for in a window. */
export function rateCountsIn(mongo: Mongo): RateCounts {
  const rows = () => mongo.collection<CountRow>('rate_counts');

  async function add(key: string, amount: number, expiresAt: Date): Promise<number> {
    const row = await rows().findOneAndUpdate(
      { _id: key },
      { $inc: { count: amount }, $setOnInsert: { expires_at: expiresAt } },
      { upsert: true, returnDocument: 'after' },
    );
    // An upsert that returns the new document always returns one.
    return row?.count ?? amount;
  }

  return {
    add: (key, amount, expiresAt) =>
      mongo.run(() =>
        add(key, amount, expiresAt).catch((error: unknown) => {
          // Two were first at once.
          if (isDuplicate(error)) return add(key, amount, expiresAt);
          throw error;
        }),
      ),
  };
}

interface SlotsRow {
  readonly _id: string;
  readonly slots: readonly { readonly id: HoldId; readonly instance: string; readonly at: Date }[];
  readonly expires_at: Date;
}

export interface SlotsOptions {
  readonly instance: string;
  /** No answer takes longer: a place that is held longer is free. */
  readonly longestAnswerMs: number;
}

/** Much longer than an answer: a row that goes holds no place any more. */
const KEPT_MS = 3 * 86_400_000;
const ATTEMPTS = 3;

/** Who answers for a user or a chatflow at the moment: one row each, with all places that are taken. */
export function answerSlotsIn(mongo: Mongo, { instance, longestAnswerMs }: SlotsOptions): AnswerSlots {
  const rows = () => mongo.collection<SlotsRow>('answer_slots');

  async function isTaken(subject: string, id: HoldId, most: number, now: Date): Promise<boolean> {
    try {
      await rows().updateOne(
        { _id: subject, [`slots.${most - 1}`]: { $exists: false } },
        { $push: { slots: { id, instance, at: now } }, $set: { expires_at: new Date(now.getTime() + KEPT_MS) } },
        { upsert: true },
      );
      return true;
    } catch (error) {
      // The row is there and full, or another process has made it a moment ago.
      if (isDuplicate(error)) return false;
      throw error;
    }
  }

  /** Frees the places of dead processes. */
  async function prune(subject: string, now: Date): Promise<void> {
    const slots = (await rows().findOne({ _id: subject }))?.slots ?? [];
    const others = [...new Set(slots.map((slot) => slot.instance))].filter((other) => other !== instance);
    const alive = await mongo
      .collection<{ _id: string; alive_until: Date }>('instances')
      .find({ _id: { $in: others }, alive_until: { $gt: now } })
      .toArray();
    const living = new Set([instance, ...alive.map(({ _id }) => _id)]);
    const oldest = now.getTime() - longestAnswerMs;
    const dead = slots.filter((slot) => !living.has(slot.instance) || slot.at.getTime() < oldest).map(({ id }) => id);
    if (dead.length > 0) await rows().updateOne({ _id: subject }, { $pull: { slots: { id: { $in: dead } } } });
  }

  return {
    take: (subject, requestId, most, now) =>
      mongo.run(async () => {
        for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
          if (await isTaken(subject, requestId, most, now)) return true;
          await prune(subject, now);
        }
        return false;
      }),

    release: (subject, requestId) =>
      mongo.run(async () => {
        await rows().updateOne({ _id: subject }, { $pull: { slots: { id: requestId } } });
      }),
  };
}
