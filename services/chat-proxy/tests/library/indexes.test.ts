import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Mongo } from '@tollgate/mongo-kit';
import { newUserId } from '@tollgate/test-kit';
import type { ChatflowId, HoldId, SessionId, UserId } from '../../src/domain/wire-types.ts';
import { chatflowsIn } from '../../src/store/chatflows/chatflows.ts';
import { erasuresIn } from '../../src/store/erasures.ts';
import { forgettingIn } from '../../src/store/forgetting.ts';
import { messagesIn } from '../../src/store/messages.ts';
import { sessionsIn } from '../../src/store/sessions.ts';
import { type Library, openLibrary } from '../fixtures/library-stage.ts';

let library: Library;
beforeAll(async () => {
  library = await openLibrary();
});
afterAll(() => library.mongo.close());

interface Query {
  readonly collection: string;
  readonly filter: Readonly<Record<string, unknown>>;
}

/** The same database, and every filter that it is asked with. The double of MongoDB knows no `explain`. */
function listening(mongo: Mongo): { mongo: Mongo; queries: Query[] } {
  const queries: Query[] = [];
  const note = (collection: string, method: string, [first]: unknown[]) => {
    if (method === 'aggregate') queries.push({ collection, filter: Object((first as object[])[0]).$match });
    else if (/^(find|update|delete|count)/.test(method)) queries.push({ collection, filter: Object(first) });
  };
  const collection = (name: string) =>
    new Proxy(mongo.collection(name), {
      get: (rows, method: 'find') => {
        const value: unknown = rows[method];
        if (typeof value !== 'function') return value;
        return (...given: unknown[]) => {
          note(name, method, given);
          return Reflect.apply(value, rows, given) as unknown;
        };
      },
    });
  return { mongo: { ...mongo, collection: collection as Mongo['collection'] }, queries };
}

/** Small collections, of which an operator has a few rows, may be read as a whole. */
const SMALL: ReadonlySet<string> = new Set(['chatflows', 'workspace_chat_settings']);

it('asks nothing of what grows with users that is not led by an index', async () => {
  const { mongo, queries } = listening(library.mongo);
  const [sessions, messages] = [sessionsIn(mongo, 'default'), messagesIn(mongo)];
  const chatflows = chatflowsIn(mongo, { freshMs: 1, defaultWorkspaceId: 'default' });
  const [forgetting, erasures] = [forgettingIn(mongo), erasuresIn(mongo)];
  const now = new Date();
  const owner = { userId: newUserId() as UserId };
  const [id, flow, hold] = [randomUUID() as SessionId, 'flow' as ChatflowId, randomUUID() as HoldId];
  const cursor = Buffer.from(`${now.getTime()} ${id}`).toString('base64url');
  const lease = { id: hold, until: now };
  const claimed = await sessions.claim({ id, owner, chatflowId: flow, lease, now, forgetAt: now });
  const { session } = claimed as Extract<typeof claimed, { session: unknown }>;
  const rules = [
    { of: 'chatflow', chatflowId: flow, before: now },
    { of: 'workspace', workspaceId: 'default', before: now },
    { of: 'unstored' },
  ] as const;
  const user = { userId: owner.userId, username: 'alice', email: 'alice@example.test' };

  for (const rule of rules) await sessions.outdated(rule, now, 1);
  await sessions.unfinished(now, 1);
  await sessions.renewLeases([hold], now);
  const stored = { beginning: { topic: 'x', firstMessage: 'x' }, at: now, messages: 1 };
  await sessions.release({ ...session, leaseId: hold, discard: false, stored });
  await sessions.release({ ...session, leaseId: hold, discard: true });
  await sessions.find(owner, id);
  await sessions.findAny(owner, id);
  await sessions.standing(session);
  await sessions.list(owner, { limit: 1, cursor, chatflowId: flow });
  await sessions.rename(owner, id, 'x');
  await sessions.some(owner, 1);
  await sessions.someOfUser(owner.userId, 1);
  await messages.page(session, { limit: 1, cursor });
  await messages.pageOn(session, { limit: 1, cursor });
  await messages.sessionsWith('x', [session]);
  await messages.deleteOf([session]);
  await sessions.delete(session, { now });
  await forgetting.take(now, { firstMs: 1, longestMs: 1 });
  await forgetting.remove('x');
  await erasures.due(now);
  await erasures.remove(owner.userId);
  await chatflows.assign(flow, user, now);
  await chatflows.assign(flow, user, now);
  await chatflows.assignWorkspace(flow, 'w-1', now);
  for (const each of [chatflows.users(flow), chatflows.workspaces(flow), chatflows.listFor(owner)]) await each;
  await chatflows.findFor(owner, flow);
  await chatflows.unassign(flow, user.email);
  await chatflows.unassignWorkspace(flow, 'w-1');
  await chatflows.renameUser(user);
  await chatflows.forgetUser(owner.userId);

  const asked = queries.filter(({ collection }) => !SMALL.has(collection));
  /** Of each index the field that leads it, and those which a filter must name to be sure of what it covers. */
  const leading = new Map<string, string[][]>();
  for (const name of new Set(asked.map(({ collection }) => collection))) {
    const indexes = await library.mongo.collection(name).indexes();
    leading.set(
      name,
      indexes.map(({ key, partialFilterExpression: covered }) => [
        String(Object.keys(Object(key))[0]),
        ...Object.keys(Object(covered)),
      ]),
    );
  }
  const fieldsOf = (filter: Query['filter']): string[] =>
    Object.entries(filter).flatMap(([name, value]) =>
      name === '$and' ? (value as Query['filter'][]).flatMap(fieldsOf) : [name],
    );
  const isLed = ({ collection, filter }: Query): boolean => {
    const named = new Set(fieldsOf(filter));
    return leading.get(collection)?.some((fields) => fields.every((field) => named.has(field))) ?? false;
  };
  const unled = asked.filter((query) => !isLed(query));
  expect(unled).toEqual([]);
  expect(asked.length).toBeGreaterThan(30);
});
