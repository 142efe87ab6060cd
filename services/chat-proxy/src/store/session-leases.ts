import type { mongo } from 'mongoose';
import type { HoldId } from '../domain/wire-types.ts';
import type { SessionRelease, Sessions } from '../ports.ts';
import { gatheredInserts, gatheredWrites } from './gathered-writes.ts';
import { beginningColumns, firstColumns, leaseColumns, sessionClaims, type SessionsDeps } from './session-claims.ts';
import { type SessionRow, unfinishedOf } from './session-row.ts';
import { ownerColumns } from './streams/owned.ts';

const MOST_CHAT_IDS = 200;

/** Who answers in a session at the moment: taken and given back in one atomic step each. */
export function sessionLeases(deps: SessionsDeps) {
  const { database, rows, defaultWorkspaceId } = deps;
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

  return { open, claim: sessionClaims(deps), unfinished, renew, release };
}

type SessionOpening = Parameters<Sessions['open']>[0];

const leaseOf = ({ id, upstreamMemoryId, leaseId }: SessionRelease) => ({
  _id: id,
  memory_id: upstreamMemoryId,
  lease_id: leaseId,
});

/**
 * Which of them are still there. Each is given back by the owner of its lease alone, so that it may be done again; those that
 * change alike in one update.
 */
async function giveBackAll(rows: mongo.Collection<SessionRow>, some: readonly SessionRelease[]): Promise<boolean[]> {
  const groups = Map.groupBy(some, (released) => likeness(released) ?? released);
  const { matchedCount } = await writeAll(rows, [...groups.values()].map(writeOf));
  if (matchedCount === some.length) return some.map(() => true);
  const found = await rows.find({ _id: { $in: some.map(({ id }) => id) } }, { projection: { memory_id: 1 } }).toArray();
  const standing = new Set(found.map(({ _id, memory_id: memoryId }) => `${_id} ${memoryId}`));
  return some.map(({ id, upstreamMemoryId }) => standing.has(`${id} ${upstreamMemoryId}`));
}

type Write = ReturnType<typeof writeOf>;

/** A command for several writes costs the driver a third more than one for one write. */
async function writeAll(
  rows: mongo.Collection<SessionRow>,
  writes: readonly Write[],
): Promise<{ matchedCount: number }> {
  const [first] = writes;
  if (!first || writes.length > 1) return rows.bulkWrite(writes, { ordered: false });
  if ('updateOne' in first) return rows.updateOne(first.updateOne.filter, first.updateOne.update);
  return rows.updateMany(first.updateMany.filter, first.updateMany.update);
}

/** What is the same for all that change alike; undefined for one that changes in its own way. */
const likeness = ({ stored, freshChatId, dropsBeginning = false }: SessionRelease): number | 'unstored' | undefined =>
  stored?.beginning || freshChatId !== undefined || dropsBeginning ? undefined : (stored?.messages ?? 'unstored');

function writeOf(some: readonly SessionRelease[]) {
  const [first] = some;
  if (first && some.length === 1) return { updateOne: { filter: leaseOf(first), update: givenBack(first) } };
  // The id of a lease is the one of its question, and stands in one conversation only.
  const filter = {
    _id: { $in: some.map(({ id }) => id) },
    memory_id: { $in: some.map(({ upstreamMemoryId }) => upstreamMemoryId) },
    lease_id: { $in: some.map(({ leaseId }) => leaseId) },
  };
  return { updateMany: { filter, update: givenBack(lastOf(some)) } };
}

/** The moments of those that end together are hardly apart. */
const lastOf = (some: readonly SessionRelease[]): SessionRelease =>
  some.reduce((last, each) => (momentOf(each) > momentOf(last) ? each : last));
const momentOf = ({ stored }: SessionRelease): number => stored?.at.getTime() ?? 0;

function givenBack({ freshChatId, stored, dropsBeginning }: SessionRelease): mongo.UpdateFilter<SessionRow> {
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
        ...(stored.beginning && beginningColumns(stored.beginning)),
      },
      $inc: { message_count: stored.messages },
    }),
    ...(dropsBeginning && { $set: beginningColumns() }),
    ...(freshChatId && { $push: { chat_ids: { $each: [freshChatId], $slice: -MOST_CHAT_IDS } } }),
  };
}
