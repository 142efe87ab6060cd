import { newUuid } from '@tollgate/http-kit';
import { isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import type { mongo } from 'mongoose';
import type { HoldId } from '../domain/wire-types.ts';
import type { Owner, SessionClaim, SessionRelease, Sessions } from '../ports.ts';
import { gatheredInserts, gatheredWrites } from './gathered-writes.ts';
import { pendingRowOf, sessionOf, type SessionRow, unfinishedOf } from './session-row.ts';
import { ownerColumns } from './streams/owned.ts';

const MOST_CHAT_IDS = 200;

/** Sessions in which no answer is believed to run. */
export const isFree = (now: Date): mongo.Filter<SessionRow> => ({
  $or: [{ lease_until: { $exists: false } }, { lease_until: { $lt: now } }],
});

export interface SessionLeasesDeps {
  readonly database: Mongo;
  readonly rows: () => mongo.Collection<SessionRow>;
  readonly owned: (owner: Owner) => mongo.Filter<SessionRow>;
  readonly defaultWorkspaceId: string;
}

/** Who answers in a session at the moment: taken and given back in one atomic step each. */
export function sessionLeases({ database, rows, owned, defaultWorkspaceId }: SessionLeasesDeps) {
  const insert = gatheredInserts(database, rows);
  const giveBack = gatheredWrites<SessionRelease, boolean>(database, {
    one: async (released) => (await giveBackAll(rows(), [released])).includes(true),
    many: (some) => giveBackAll(rows(), some),
  });

  async function open(wanted: SessionOpening): ReturnType<Sessions['open']> {
    const row: SessionRow = {
      _id: wanted.id,
      ...ownerColumns(wanted.owner, defaultWorkspaceId),
      chatflow_id: wanted.chatflowId,
      ...leaseColumns(wanted),
      ...firstColumns(wanted, wanted.upstreamMemoryId),
    };
    await insert(row);
  }

  async function claim(wanted: SessionClaim): ReturnType<Sessions['claim']> {
    const { id, owner, chatflowId, now } = wanted;
    const memoryId = newUuid();
    const own = { _id: id, ...owned(owner), chatflow_id: chatflowId };
    try {
      const row = await rows().findOneAndUpdate(
        { ...own, ...isFree(now), pending: { $exists: false } },
        { $set: leaseColumns(wanted), $setOnInsert: firstColumns(wanted, memoryId) },
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

  /** What was opened for nothing goes; everything else is given back. */
  async function release(released: SessionRelease): Promise<boolean> {
    if (!released.discard) return giveBack(released);
    const unused = { ...leaseOf(released), message_count: 0 };
    await database.run(() => rows().deleteOne(unused));
    return false;
  }

  return { open, claim, unfinished, renew, release };
}

type SessionOpening = Parameters<Sessions['open']>[0];

const leaseColumns = ({ lease, alias, pending }: SessionClaim) => ({
  lease_id: lease.id,
  lease_until: lease.until,
  ...(alias && { alias }),
  ...(pending && { pending: pendingRowOf(pending) }),
});

const firstColumns = ({ now, forgetAt }: SessionClaim, memoryId: string) => ({
  created_at: now,
  last_at: now,
  topic: '',
  first_message: '',
  message_count: 0,
  memory_id: memoryId,
  chat_ids: [memoryId],
  forget_at: forgetAt,
});

const leaseOf = ({ id, upstreamMemoryId, leaseId }: SessionRelease) => ({
  _id: id,
  memory_id: upstreamMemoryId,
  lease_id: leaseId,
});

/** Which of them are still there. Each is given back by the owner of its lease alone, so that it may be done again. */
async function giveBackAll(rows: mongo.Collection<SessionRow>, some: readonly SessionRelease[]): Promise<boolean[]> {
  const writes = some.map((released) => ({ updateOne: { filter: leaseOf(released), update: givenBack(released) } }));
  const { matchedCount } = await rows.bulkWrite(writes, { ordered: false });
  if (matchedCount === some.length) return some.map(() => true);
  const found = await rows.find({ _id: { $in: some.map(({ id }) => id) } }, { projection: { memory_id: 1 } }).toArray();
  const standing = new Set(found.map(({ _id, memory_id: memoryId }) => `${_id} ${memoryId}`));
  return some.map(({ id, upstreamMemoryId }) => standing.has(`${id} ${upstreamMemoryId}`));
}

function givenBack({ freshChatId, stored }: SessionRelease): mongo.UpdateFilter<SessionRow> {
  return {
    $unset: {
      lease_id: '',
      lease_until: '',
      pending: '',
      ...(stored && { forget_at: '', expires_at: '' }),
    },
    ...(stored && {
      $set: {
        last_at: stored.at,
        ...(stored.beginning && { topic: stored.beginning.topic, first_message: stored.beginning.firstMessage }),
      },
      $inc: { message_count: stored.messages },
    }),
    ...(freshChatId && { $push: { chat_ids: { $each: [freshChatId], $slice: -MOST_CHAT_IDS } } }),
  };
}
