import type { Mongo } from '@tollgate/mongo-kit';
import type { mongo } from 'mongoose';
import { toCursor } from '../domain/cursor.ts';
import type { ChatflowId, SessionId } from '../domain/wire-types.ts';
import type { Owner, RetentionRule, Session, SessionPage, Sessions } from '../ports.ts';
import { cursorFrom } from './cursor.ts';
import { isFree, sessionLeases } from './session-leases.ts';
import { sessionOf, type SessionRow } from './session-row.ts';

type Rows = () => mongo.Collection<SessionRow>;
type Filter = mongo.Filter<SessionRow>;

export function sessionsIn(database: Mongo, defaultWorkspaceId: string): Sessions {
  const rows: Rows = () => database.collection<SessionRow>('sessions');
  const inWorkspace = (workspaceId: string): Filter => ({
    workspace_id: workspaceId === defaultWorkspaceId ? { $exists: false } : workspaceId,
  });
  const owned = ({ userId, workspaceId = defaultWorkspaceId }: Owner): Filter => ({
    user_id: userId,
    ...inWorkspace(workspaceId),
  });
  const leases = sessionLeases({ database, rows, owned, defaultWorkspaceId });
  const own = ownSessions(rows, owned);
  const every = everySession(rows, inWorkspace);

  return {
    open: leases.open,
    claim: (wanted) => database.run(() => leases.claim(wanted)),
    unfinished: (now, limit) => database.run(() => leases.unfinished(now, limit)),
    renewLeases: (leaseIds, until) => database.run(() => leases.renew(leaseIds, until)),
    release: leases.release,
    find: (owner, id) => database.run(() => own.find(owner, id, { message_count: { $gt: 0 } })),
    findAny: (owner, id) => database.run(() => own.find(owner, id, {})),
    idOf: (owner, chatflowId, id) => database.run(() => own.idOf(owner, chatflowId, id)),
    list: (owner, page) => database.run(() => own.list(owner, page)),
    rename: (owner, id, title) => database.run(() => own.rename(owner, id, title)),
    some: (owner, limit) => database.run(() => every.some(owned(owner), limit)),
    someOfUser: (userId, limit) => database.run(() => every.some({ user_id: userId }, limit)),
    outdated: (rule, now, limit) => database.run(() => every.outdated(rule, now, limit)),
    standing: (session) => database.run(() => every.standing(session)),
    delete: (session, unlessAnswering) => database.run(() => every.delete(session, unlessAnswering)),
  };
}

/** What users see and change, each of their own in one workspace. */
function ownSessions(rows: Rows, owned: (owner: Owner) => Filter) {
  return {
    async find(owner: Owner, id: SessionId, having: Filter): Promise<Session | undefined> {
      const row = await rows().findOne({ _id: id, ...owned(owner), ...having });
      return row ? sessionOf(row) : undefined;
    },

    async idOf(owner: Owner, chatflowId: ChatflowId, id: SessionId): Promise<SessionId | undefined> {
      const [row] = await rows()
        .find(
          { ...owned(owner), chatflow_id: chatflowId, $or: [{ _id: id }, { alias: id }] },
          { projection: { _id: 1 } },
        )
        .sort({ last_at: -1 })
        .limit(1)
        .toArray();
      return row?._id;
    },

    async list(owner: Owner, { limit, cursor, chatflowId }: SessionPage): ReturnType<Sessions['list']> {
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
    },

    async rename(owner: Owner, id: SessionId, title: string): Promise<Session | undefined> {
      const row = await rows().findOneAndUpdate(
        { _id: id, ...owned(owner), message_count: { $gt: 0 } },
        { $set: { topic: title } },
        { returnDocument: 'after' },
      );
      return row ? sessionOf(row) : undefined;
    },
  };
}

/** For what is done to conversations whosever they are. */
function everySession(rows: Rows, inWorkspace: (workspaceId: string) => Filter) {
  const some = async (filter: Filter, limit: number): Promise<Session[]> =>
    (await rows().find(filter).limit(limit).toArray()).map(sessionOf);

  function outdatedBy(rule: RetentionRule, now: Date): Filter {
    if (rule.of === 'chatflow') return { chatflow_id: rule.chatflowId, last_at: { $lt: rule.before } };
    if (rule.of === 'workspace') return { ...inWorkspace(rule.workspaceId), last_at: { $lt: rule.before } };
    return { forget_at: { $lt: now } };
  }

  return {
    some,
    outdated: (rule: RetentionRule, now: Date, limit: number) =>
      some({ ...outdatedBy(rule, now), ...isFree(now) }, limit),

    async standing({ id, upstreamMemoryId }: Parameters<Sessions['standing']>[0]): ReturnType<Sessions['standing']> {
      const row = await rows().findOne({ _id: id }, { projection: { memory_id: 1 } });
      if (!row) return 'none';
      return row.memory_id === upstreamMemoryId ? 'this' : 'another';
    },

    async delete(session: Session, unlessAnswering?: { readonly now: Date }): Promise<Session | undefined> {
      const row = await rows().findOneAndDelete({
        _id: session.id,
        memory_id: session.upstreamMemoryId,
        ...(unlessAnswering && { last_at: session.lastAt, ...isFree(unlessAnswering.now) }),
      });
      return row ? sessionOf(row) : undefined;
    },
  };
}
