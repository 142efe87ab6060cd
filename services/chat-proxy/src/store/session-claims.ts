import { newUuid } from '@tollgate/http-kit';
import { areDuplicates, isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import type { mongo } from 'mongoose';
import type { Beginning, Owner, SessionClaim, Sessions } from '../ports.ts';
import { gatheredWrites } from './gathered-writes.ts';
import { pendingRowOf, sessionOf, type SessionRow, unfinishedOf } from './session-row.ts';
import { ownerColumns } from './streams/owned.ts';

/** Sessions in which no answer is believed to run. */
export const isFree = (now: Date): mongo.Filter<SessionRow> => ({
  $or: [{ lease_until: { $exists: false } }, { lease_until: { $lt: now } }],
});

export interface SessionsDeps {
  readonly database: Mongo;
  readonly rows: () => mongo.Collection<SessionRow>;
  readonly owned: (owner: Owner) => mongo.Filter<SessionRow>;
  readonly defaultWorkspaceId: string;
}

type Claimed = Awaited<ReturnType<Sessions['claim']>>;

/** Sessions are taken for an answer, or opened, in one atomic step each, and those that come together in one command. */
export function sessionClaims({ database, rows, owned, defaultWorkspaceId }: SessionsDeps): Sessions['claim'] {
  /** Free, or taken by this very question, whose answer from the database was lost. */
  const takable = ({ id, owner, chatflowId, lease, now }: SessionClaim): mongo.Filter<SessionRow> => ({
    _id: id,
    ...owned(owner),
    chatflow_id: chatflowId,
    $or: [{ lease_id: lease.id }, { ...isFree(now), pending: { $exists: false } }],
  });

  async function claimOne(wanted: SessionClaim): Promise<Claimed> {
    const memoryId = newUuid();
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
    const wanted = some.map((claim) => ({ claim, memoryId: newUuid() }));
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

  return gatheredWrites<SessionClaim, Claimed>(database, { one: claimOne, many: claimAll });
}

function whyNot(row: SessionRow | undefined, now: Date): Claimed {
  if (!row) return 'not-found';
  const left = row.lease_until && row.lease_until < now ? unfinishedOf(row) : undefined;
  return left ? { unfinished: left } : 'busy';
}

const taken = (wanted: SessionClaim, memoryId: string): mongo.UpdateFilter<SessionRow> => ({
  $set: leaseColumns(wanted),
  $setOnInsert: firstColumns(wanted, memoryId),
});

type LeaseColumns = Pick<SessionRow, 'lease_id' | 'lease_until' | 'alias' | 'pending'>;

export const leaseColumns = ({ lease, alias, pending }: SessionClaim): LeaseColumns => ({
  lease_id: lease.id,
  lease_until: lease.until,
  ...(alias && { alias }),
  ...(pending && { pending: pendingRowOf(pending) }),
});

export const beginningColumns = (beginning?: Beginning) => ({
  topic: beginning?.topic ?? '',
  first_message: beginning?.firstMessage ?? '',
});

export const firstColumns = ({ now, forgetAt, beginning }: SessionClaim, memoryId: string) => ({
  created_at: now,
  last_at: now,
  ...beginningColumns(beginning),
  message_count: 0,
  memory_id: memoryId,
  chat_ids: [memoryId],
  forget_at: forgetAt,
});
