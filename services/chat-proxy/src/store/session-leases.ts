import { randomUUID } from 'node:crypto';
import { areDuplicates, isDuplicate, type Mongo } from '@tollgate/mongo-kit';
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

  const claims = gatheredWrites<SessionClaim, Claimed>(database, { one: claimOne, many: claimAll });

  /** Free, or taken by this very question, whose answer from the database was lost. */
  const takable = ({ id, owner, chatflowId, lease, now }: SessionClaim): mongo.Filter<SessionRow> => ({
    _id: id,
    ...owned(owner),
    chatflow_id: chatflowId,
    $or: [{ lease_id: lease.id }, { ...isFree(now), pending: { $exists: false } }],
  });

  async function claimOne(wanted: SessionClaim): Promise<Claimed> {
    const memoryId = randomUUID();
    try {
      const row = await rows().findOneAndUpdate(takable(wanted), taken(wanted, memoryId), {
        upsert: true,
        returnDocument: 'after',
      });
      // An upsert that returns the new document always returns one.
      return row ? { session: sessionOf(row), isNew: row.memory_id === memoryId } : 'not-found';
    } catch (error) {
      // The id exists, but not free and ours: the insert of the upsert has met it.
      if (!isDuplicate(error)) throw error;
      const { id, owner, chatflowId, now } = wanted;
      return whyNot((await rows().findOne({ _id: id, ...owned(owner), chatflow_id: chatflowId })) ?? undefined, now);
    }
  }

  /** Each one is an atomic step by itself, and who has got which is read from the leases afterwards. */
  async function claimAll(some: readonly SessionClaim[]): Promise<Claimed[]> {
    const wanted = some.map((claim) => ({ claim, memoryId: randomUUID() }));
    const writes = wanted.map(({ claim, memoryId }) => ({
      updateOne: { filter: takable(claim), update: taken(claim, memoryId), upsert: true },
    }));
    await rows()
      .bulkWrite(writes, { ordered: false })
      .catch((error: unknown) => {
        if (!areDuplicates(error)) throw error;
      });
    const found = await rows()
      .find({ _id: { $in: some.map(({ id }) => id) } })
      .toArray();
    const byId = new Map(found.map((row) => [row._id, row]));
    return wanted.map(({ claim, memoryId }) => {
      const row = byId.get(claim.id);
      // Gone again since: it may be opened anew.
      if (!row) return 'busy';
      if (row.lease_id === claim.lease.id) return { session: sessionOf(row), isNew: row.memory_id === memoryId };
      return whyNot(isOf(row, claim) ? row : undefined, claim.now);
    });
  }

  const isOf = (row: SessionRow, { owner, chatflowId }: SessionClaim): boolean => {
    const { user_id: userId, workspace_id: workspaceId } = ownerColumns(owner, defaultWorkspaceId);
    return row.user_id === userId && row.workspace_id === workspaceId && row.chatflow_id === chatflowId;
  };

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

  return { open, claim: claims, unfinished, renew, release };
}

type Claimed = Awaited<ReturnType<Sessions['claim']>>;

function whyNot(row: SessionRow | undefined, now: Date): Claimed {
  if (!row) return 'not-found';
  const left = row.lease_until && row.lease_until < now ? unfinishedOf(row) : undefined;
  return left ? { unfinished: left } : 'busy';
}

const taken = (wanted: SessionClaim, memoryId: string): mongo.UpdateFilter<SessionRow> => ({
  $set: leaseColumns(wanted),
  $setOnInsert: firstColumns(wanted, memoryId),
});

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
