import type { Mongo } from '@tollgate/mongo-kit';
import type { mongo } from 'mongoose';
import type { SessionId, UserId } from '../domain/wire-types.ts';
import type { Owner, RetentionRule, Session, SessionPage, Sessions } from '../ports.ts';
import { cursorFrom, toCursor } from './cursor.ts';
import { isFree, sessionLeases } from './session-leases.ts';
import { sessionOf, type SessionRow } from './session-row.ts';

export function sessionsIn(database: Mongo, defaultWorkspaceId: string): Sessions {
  const rows = () => database.collection<SessionRow>('sessions');
  const inWorkspace = (workspaceId: string): mongo.Filter<SessionRow> => ({
    workspace_id: workspaceId === defaultWorkspaceId ? { $exists: false } : workspaceId,
  });
  const owned = ({ userId, workspaceId = defaultWorkspaceId }: Owner) => ({
    user_id: userId,
    ...inWorkspace(workspaceId),
  });
  const leases = sessionLeases(rows, owned);

  async function list(owner: Owner, { limit, cursor, chatflowId }: SessionPage): ReturnType<Sessions['list']> {
    const from = cursorFrom(cursor);
    const after = from && {
      $or: [{ last_at: { $lt: from.at } }, { last_at: from.at, _id: { $gt: from.id as SessionId } }],
    };
    const ofChatflow = chatflowId !== undefined && { chatflow_id: chatflowId };
    const found = await rows()
      .find({ ...owned(owner), message_count: { $gt: 0 }, ...ofChatflow, ...after })
      .sort({ last_at: -1, _id: 1 })
      .limit(limit + 1)
      .toArray();
    const last = found.length > limit ? found[limit - 1] : undefined;
    return {
      sessions: found.slice(0, limit).map(sessionOf),
      nextCursor: last ? toCursor(last.last_at, last._id) : null,
    };
  }

  async function outdated(rule: RetentionRule, now: Date, limit: number): Promise<Session[]> {
    const found = await rows()
      .find({ ...outdatedBy(rule, now), ...isFree(now) })
      .limit(limit)
      .toArray();
    return found.map(sessionOf);
  }

  function outdatedBy(rule: RetentionRule, now: Date): mongo.Filter<SessionRow> {
    if (rule.of === 'chatflow') return { chatflow_id: rule.chatflowId, last_at: { $lt: rule.before } };
    if (rule.of === 'workspace') return { ...inWorkspace(rule.workspaceId), last_at: { $lt: rule.before } };
    return { forget_at: { $lt: now } };
  }

  const some = async (filter: mongo.Filter<SessionRow>, limit: number): Promise<Session[]> =>
    (await rows().find(filter).limit(limit).toArray()).map(sessionOf);

  return {
    claim: (wanted) => database.run(() => leases.claim(wanted)),
    unfinished: (now, limit) => database.run(() => leases.unfinished(now, limit)),
    release: (released) => database.run(() => leases.release(released)),

    renewLeases: (leaseIds, until) =>
      database.run(async () => {
        await rows().updateMany({ lease_id: { $in: [...leaseIds] } }, { $set: { lease_until: until } });
      }),

    find: (owner, id) =>
      database.run(async () => {
        const row = await rows().findOne({ _id: id, ...owned(owner), message_count: { $gt: 0 } });
        return row ? sessionOf(row) : undefined;
      }),

    findAny: (owner, id) =>
      database.run(async () => {
        const row = await rows().findOne({ _id: id, ...owned(owner) });
        return row ? sessionOf(row) : undefined;
      }),

    standing: ({ id, upstreamMemoryId }) =>
      database.run(async () => {
        const row = await rows().findOne({ _id: id }, { projection: { memory_id: 1 } });
        if (!row) return 'none';
        return row.memory_id === upstreamMemoryId ? 'this' : 'another';
      }),

    list: (owner, page) => database.run(() => list(owner, page)),

    rename: (owner, id, title) =>
      database.run(async () => {
        const row = await rows().findOneAndUpdate(
          { _id: id, ...owned(owner), message_count: { $gt: 0 } },
          { $set: { topic: title } },
          { returnDocument: 'after' },
        );
        return row ? sessionOf(row) : undefined;
      }),

    some: (owner, limit) => database.run(() => some(owned(owner), limit)),
    someOfUser: (userId: UserId, limit) => database.run(() => some({ user_id: userId }, limit)),
    outdated: (rule, now, limit) => database.run(() => outdated(rule, now, limit)),

    delete: (session, unlessAnswering) =>
      database.run(async () => {
        const row = await rows().findOneAndDelete({
          _id: session.id,
          memory_id: session.upstreamMemoryId,
          ...(unlessAnswering && { last_at: session.lastAt, ...isFree(unlessAnswering.now) }),
        });
        return row ? sessionOf(row) : undefined;
      }),
  };
}
