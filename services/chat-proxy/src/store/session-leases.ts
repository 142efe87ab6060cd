import { newUuid } from '@tollgate/http-kit';
import { isDuplicate } from '@tollgate/mongo-kit';
import type { mongo } from 'mongoose';
import type { HoldId } from '../domain/wire-types.ts';
import type { Owner, SessionClaim, SessionRelease, Sessions } from '../ports.ts';
import { pendingRowOf, sessionOf, type SessionRow, unfinishedOf } from './session-row.ts';

const MOST_CHAT_IDS = 200;

/** Sessions in which no answer is believed to run. */
export const isFree = (now: Date): mongo.Filter<SessionRow> => ({
  $or: [{ lease_until: { $exists: false } }, { lease_until: { $lt: now } }],
});

/** Who answers in a session at the moment: taken and given back in one atomic step each. */
export function sessionLeases(
  rows: () => mongo.Collection<SessionRow>,
  owned: (owner: Owner) => mongo.Filter<SessionRow>,
) {
  async function claim(wanted: SessionClaim): ReturnType<Sessions['claim']> {
    const { id, owner, chatflowId, alias, lease, now, pending } = wanted;
    const memoryId = newUuid();
    const own = { _id: id, ...owned(owner), chatflow_id: chatflowId };
    try {
      const row = await rows().findOneAndUpdate(
        { ...own, ...isFree(now), pending: { $exists: false } },
        {
          $set: {
            lease_id: lease.id,
            lease_until: lease.until,
            ...(alias && { alias }),
            ...(pending && { pending: pendingRowOf(pending) }),
          },
          $setOnInsert: {
            created_at: now,
            last_at: now,
            topic: '',
            first_message: '',
            message_count: 0,
            memory_id: memoryId,
            chat_ids: [memoryId],
            forget_at: wanted.forgetAt,
          },
        },
        { upsert: true, returnDocument: 'after' },
      );
      // An upsert that returns the new document always returns one.
      return row ? { session: sessionOf(row), isNew: row.memory_id === memoryId } : 'not-found';
    } catch (error) {
      // The id exists, but not free and ours: the insert of the upsert has met it.
      if (!isDuplicate(error)) throw error;
      return whyNot(own, now);
    }
  }

  async function whyNot(own: mongo.Filter<SessionRow>, now: Date): ReturnType<Sessions['claim']> {
    const row = await rows().findOne(own);
    if (!row) return 'not-found';
    const left = row.lease_until && row.lease_until < now ? unfinishedOf(row) : undefined;
    return left ? { unfinished: left } : 'busy';
  }

  async function unfinished(now: Date, limit: number): ReturnType<Sessions['unfinished']> {
    const silent = { lease_until: { $lt: now }, pending: { $exists: true } };
    const found = await rows().find(silent).sort({ lease_until: 1 }).limit(limit).toArray();
    return found.flatMap((row) => unfinishedOf(row) ?? []);
  }

  async function renew(leaseIds: readonly HoldId[], until: Date): Promise<void> {
    await rows().updateMany({ lease_id: { $in: [...leaseIds] } }, { $set: { lease_until: until } });
  }

  return { claim, unfinished, renew, release: (released: SessionRelease) => release(rows(), released) };
}

async function release(rows: mongo.Collection<SessionRow>, released: SessionRelease): Promise<boolean> {
  const { id, upstreamMemoryId, leaseId, discard, freshChatId, stored } = released;
  const one = { _id: id, memory_id: upstreamMemoryId };
  if (discard) {
    await rows.deleteOne({ ...one, lease_id: leaseId, message_count: 0 });
    return false;
  }
  const { matchedCount } = await rows.updateOne(
    { ...one, lease_id: leaseId },
    {
      $unset: {
        lease_id: '',
        lease_until: '',
        pending: '',
        ...(stored && { forget_at: '', expires_at: '' }),
      },
      ...(stored && { $set: { last_at: stored.at }, $inc: { message_count: stored.messages } }),
      ...(freshChatId && { $push: { chat_ids: { $each: [freshChatId], $slice: -MOST_CHAT_IDS } } }),
    },
  );
  if (matchedCount === 0) return (await rows.countDocuments(one, { limit: 1 })) > 0;
  if (stored) {
    const { topic, firstMessage } = stored;
    await rows.updateOne({ ...one, topic: '' }, { $set: { topic, first_message: firstMessage } });
  }
  return true;
}
