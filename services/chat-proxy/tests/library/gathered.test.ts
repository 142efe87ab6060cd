import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Mongo } from '@tollgate/mongo-kit';
import { newUserId } from '@tollgate/test-kit';
import type { ChatflowId, SessionId, UserId } from '../../src/domain/wire-types.ts';
import type { SessionClaim, StoredMessage } from '../../src/ports.ts';
import { chatflowsIn } from '../../src/store/chatflows/chatflows.ts';
import { messagesIn } from '../../src/store/messages.ts';
import { sessionsIn } from '../../src/store/sessions.ts';
import { holdId } from '../fixtures/doubles.ts';
import { found, type Library, openLibrary, person } from '../fixtures/library-stage.ts';

const NOW = new Date('2030-01-01T00:00:00Z');
const MANY = 40;
const LONG = 60_000;

let library: Library;
beforeAll(async () => {
  library = await openLibrary();
});
afterAll(() => library.mongo.close());

const many = <T>(make: (at: number) => T): T[] => Array.from({ length: MANY }, (_, at) => make(at));
const outcomesOf = async (all: Promise<unknown>[]): Promise<string[]> =>
  (await Promise.allSettled(all)).map(({ status }) => status);

/** The database, with a count of how often each collection was asked for. */
function counted(mongo: Mongo) {
  const counts = new Map<string, number>();
  const collection: Mongo['collection'] = (name) => {
    counts.set(name, (counts.get(name) ?? 0) + 1);
    return mongo.collection(name);
  };
  return { mongo: { ...mongo, collection }, commandsOn: (name: string) => counts.get(name) ?? 0 };
}

describe('conversations that begin or end at the same moment', () => {
  const opening = (): SessionClaim & { upstreamMemoryId: string } => ({
    id: randomUUID() as SessionId,
    owner: person(),
    chatflowId: 'flow' as ChatflowId,
    lease: { id: holdId(), until: new Date(NOW.getTime() + LONG) },
    now: NOW,
    forgetAt: new Date(NOW.getTime() + LONG),
    upstreamMemoryId: randomUUID(),
    pending: { questionId: 'q', answerId: 'a', question: 'What is a toll?', at: NOW },
    beginning: { topic: 'toll', firstMessage: 'What is a toll?' },
  });
  const endOf = ({ id, upstreamMemoryId, lease }: ReturnType<typeof opening>) => ({
    id,
    upstreamMemoryId,
    leaseId: lease.id,
    discard: false,
    stored: { at: NOW, messages: 2, beginning: { topic: 'toll', firstMessage: 'What is a toll?' } },
  });

  it('are written in few commands, each for its owner alone, and one that is refused keeps no other out', async () => {
    const { mongo, commandsOn } = counted(library.mongo);
    const sessions = sessionsIn(mongo, 'default');
    const first = opening();
    await sessions.open(first);
    const all = many(opening);
    const wanted = [...all.slice(0, 20), { ...opening(), id: first.id }, ...all.slice(20)];
    const expected = wanted.map(({ id }) => (id === first.id ? 'rejected' : 'fulfilled'));
    expect(await outcomesOf(wanted.map((each) => sessions.open(each)))).toEqual(expected);
    expect(commandsOn('sessions')).toBeLessThan(MANY / 4);
    for (const { upstreamMemoryId: _, ...claim } of [first, ...all.slice(0, 3)]) {
      const another = { ...claim, lease: { ...claim.lease, id: holdId() } };
      expect(await sessions.claim(another)).toBe('busy');
      expect(await sessions.claim({ ...another, owner: person() })).toBe('not-found');
    }
  });

  it('are claimed in few commands when they are known, each as it would have been alone', async () => {
    const { mongo, commandsOn } = counted(library.mongo);
    const sessions = sessionsIn(mongo, 'default');
    const claimOf = ({ upstreamMemoryId: _, ...claim }: ReturnType<typeof opening>, now = NOW): SessionClaim => ({
      ...claim,
      now,
      lease: { id: holdId(), until: new Date(now.getTime() + LONG) },
    });
    const all = many(opening);
    await Promise.all(all.map((each) => sessions.open(each)));
    const [busy, ...others] = all;
    const [abandoned, free] = [others.slice(0, 5), others.slice(5)];
    if (!busy) throw new Error('forty were opened');
    await Promise.all(free.map((each) => sessions.release(endOf(each))));
    const late = new Date(NOW.getTime() + 2 * LONG);
    const [next = claimOf(busy)] = free.map((each) => claimOf(each));
    const tooLarge = { questionId: 'q', answerId: 'a', question: 'x'.repeat(17 * 1024 * 1024), at: NOW };
    const before = commandsOn('sessions');
    const claimed = await Promise.allSettled([
      ...free.slice(1).map((each) => sessions.claim(claimOf(each))),
      sessions.claim(claimOf(busy)),
      sessions.claim({ ...claimOf(busy), owner: person() }),
      sessions.claim({ ...claimOf(busy), chatflowId: 'other' as ChatflowId }),
      ...abandoned.map((each) => sessions.claim(claimOf(each, late))),
      sessions.claim(claimOf(opening())),
      sessions.claim(next),
      sessions.claim({ ...next, lease: { ...next.lease, id: holdId() } }),
    ]);
    expect(commandsOn('sessions') - before).toBeLessThan(MANY / 4);
    const known = { isNew: false, session: { topic: 'toll', messageCount: 2 } };
    expect(claimed.map((each) => each.status === 'fulfilled' && each.value)).toMatchObject([
      ...free.slice(1).map(() => known),
      'busy',
      'not-found',
      'not-found',
      ...abandoned.map(() => ({ unfinished: { pending: { question: 'What is a toll?' } } })),
      { isNew: true, session: { topic: 'toll', messageCount: 0 } },
      known,
      'busy',
    ]);
    // The answer to a claim may be lost; whoever asks again has it already.
    const again = await outcomesOf([
      sessions.claim(next),
      sessions.claim({ ...claimOf(opening()), pending: tooLarge }),
      sessions.claim(claimOf(opening())),
    ]);
    expect(again).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await sessions.claim(next)).toMatchObject(known);
  });

  it('are given back by the owner of the lease alone, whoever else is in the same command', async () => {
    const { mongo, commandsOn } = counted(library.mongo);
    const sessions = sessionsIn(mongo, 'default');
    const all = many(opening);
    await Promise.all(all.map((each) => sessions.open(each)));
    const [deleted, overtaken, ...others] = all;
    if (!deleted || !overtaken) throw new Error('forty were opened');
    const session = await sessions.findAny(deleted.owner, deleted.id);
    if (session) await sessions.delete(session);
    // Silent for its whole lease: another question has taken the conversation since.
    const { upstreamMemoryId: _, ...claim } = overtaken;
    const late = new Date(NOW.getTime() + 2 * LONG);
    const lease = { id: holdId(), until: new Date(late.getTime() + LONG) };
    expect(await sessions.claim({ ...claim, now: late, lease })).toMatchObject({ unfinished: {} });
    await sessions.release({ ...endOf(overtaken), freshChatId: 'slot-2' });
    expect(await sessions.claim({ ...claim, now: late, lease })).toMatchObject({ isNew: false });
    const before = commandsOn('sessions');

    const twice = [...all, ...all].map((each) => sessions.release(endOf(each)));
    expect(await Promise.all(twice)).toEqual([...all, ...all].map((each) => each !== deleted));
    expect(commandsOn('sessions') - before).toBeLessThan(MANY / 4);

    expect(await sessions.claim({ ...claim, now: late, lease: { ...lease, id: holdId() } })).toBe('busy');
    for (const { owner, id } of [overtaken, ...others.slice(0, 3)])
      expect(await sessions.find(owner, id)).toMatchObject({ topic: 'toll', messageCount: 2 });
    const row = { user_id: others[0]?.owner.userId };
    expect(await library.mongo.collection('sessions').findOne(row)).not.toHaveProperty('pending');
  });

  it('that end alike are given back together, and none but by its owner', async () => {
    const sessions = sessionsIn(library.mongo, 'default');
    const all = many(opening);
    await Promise.all(all.map((each) => sessions.open(each)));
    const [overtaken, unsettled, unkept, ...others] = all;
    if (!overtaken || !unsettled || !unkept) throw new Error('forty were opened');
    const [kept, plain] = [others.slice(0, 18), others.slice(18)];
    const late = new Date(NOW.getTime() + 2 * LONG);
    const { upstreamMemoryId: _, pending: __, ...claim } = overtaken;
    const lease = { id: holdId(), until: new Date(late.getTime() + LONG) };
    await sessions.release(endOf(overtaken));
    expect(await sessions.claim({ ...claim, now: late, lease })).toMatchObject({ isNew: false });

    const plainly = ({ stored: ___, ...release }: ReturnType<typeof endOf>) => release;
    const at = (seconds: number) => ({ stored: { at: new Date(NOW.getTime() + seconds * 1000), messages: 2 } });
    const ends = [
      ...kept.map((each, seconds) => ({ ...plainly(endOf(each)), ...at(seconds) })),
      ...[overtaken, ...plain].map((each) => plainly(endOf(each))),
      { ...plainly(endOf(unsettled)), freshChatId: 'slot-2' },
      { ...plainly(endOf(unkept)), dropsBeginning: true },
    ];
    const twice = [...ends, ...ends].map((end) => sessions.release(end));
    expect(await Promise.all(twice)).toEqual([...ends, ...ends].map(() => true));

    const ids = (some: typeof all) => some.map(({ id }) => id).toSorted();
    const rows = await library.mongo
      .collection<{ _id: string; chat_ids: string[]; message_count: number; topic: string; last_at: Date }>('sessions')
      .find({ user_id: { $in: all.map(({ owner }) => owner.userId) } })
      .sort({ _id: 1 })
      .toArray();
    const idsOf = (where: (row: (typeof rows)[number]) => boolean) => rows.filter(where).map(({ _id }) => _id);
    expect(idsOf((row) => 'lease_id' in row || 'lease_until' in row || 'pending' in row)).toEqual([overtaken.id]);
    expect(rows.find((row) => 'lease_id' in row)).toMatchObject({ lease_id: lease.id });
    expect(idsOf(({ message_count: messages }) => messages === 2)).toEqual(ids([overtaken, ...kept]));
    // Without messages each is forgotten when it was to be, and only then.
    expect(idsOf((row) => 'forget_at' in row)).toEqual(ids([unsettled, unkept, ...plain]));
    expect(idsOf(({ chat_ids: slots }) => slots.includes('slot-2'))).toEqual([unsettled.id]);
    expect(idsOf(({ topic }) => topic === '')).toEqual([unkept.id]);
    const usedLast = rows.find(({ _id }) => _id === kept.at(-1)?.id);
    expect(usedLast?.last_at).toEqual(at(kept.length - 1).stored.at);
  });
});

describe('messages that are saved at the same moment', () => {
  const userId = newUserId() as UserId;
  const message = (changes: Partial<StoredMessage> = {}): StoredMessage => ({
    id: randomUUID(),
    sessionId: randomUUID() as SessionId,
    upstreamMemoryId: 'memory',
    userId,
    role: 'assistant',
    content: 'A charge',
    status: 'completed',
    createdAt: NOW,
    credits: null,
    usage: null,
    requestId: null,
    events: [],
    fileIds: [],
    ...changes,
  });
  const stored = async (messages: ReturnType<typeof messagesIn>, { sessionId }: StoredMessage) =>
    (await messages.page({ id: sessionId, upstreamMemoryId: 'memory' }, { limit: 10 })).messages;

  it('go in few commands; one that is too large fails alone, and the last word about one counts', async () => {
    const { mongo, commandsOn } = counted(library.mongo);
    const messages = messagesIn(mongo);
    const known = message({ status: 'failed', content: '' });
    await messages.saveMissing([known]);
    const all = many(() => message());
    const poison = message({ content: 'x'.repeat(17 * 1024 * 1024) });
    const finished = message({ ...known, status: 'completed', content: 'A charge' });
    const wanted = [...all.slice(0, 20), poison, finished, ...all.slice(20)];
    const expected = wanted.map((each) => (each === poison ? 'rejected' : 'fulfilled'));
    expect(await outcomesOf(wanted.map((each) => messages.save([each])))).toEqual(expected);
    expect(await stored(messages, finished)).toMatchObject([{ status: 'completed', content: 'A charge' }]);
    expect(await stored(messages, poison)).toEqual([]);
    for (const each of all.slice(0, 3)) expect(await stored(messages, each)).toHaveLength(1);
    const before = commandsOn('messages');
    expect(await outcomesOf(all.map(() => messages.save([message()])))).toEqual(all.map(() => 'fulfilled'));
    expect(commandsOn('messages') - before).toBeLessThan(MANY / 4);
  });
});

describe('a chatflow that many ask for', () => {
  const fresh = { freshMs: LONG, defaultWorkspaceId: 'default' };

  it('is read once for all of them, with what is kept in their workspace', async () => {
    const { mongo, commandsOn } = counted(library.mongo);
    const id = randomUUID() as ChatflowId;
    await library.instance().chatflows.save({ ...found(id), isPublic: true }, NOW);
    const chatflows = chatflowsIn(mongo, fresh);
    const ask = () => Promise.all(many(() => chatflows.findFor(person(), id)));
    for (const chatflow of [...(await ask()), ...(await ask())]) expect(chatflow).toMatchObject({ id });
    expect([commandsOn('chatflows'), commandsOn('workspace_chat_settings')]).toEqual([1, 1]);
  });

  it('is refused nobody for longer than it must be: what lets somebody in elsewhere is seen at once', async () => {
    const [one, other] = [chatflowsIn(library.mongo, fresh), chatflowsIn(library.mongo, fresh)];
    const id = randomUUID() as ChatflowId;
    const alice = { userId: newUserId() as UserId, username: 'alice', email: 'alice@example.test' };
    expect(await one.findFor(alice, id)).toBeUndefined();
    await other.save(found(id), NOW);
    expect(await one.findFor(alice, id)).toBeUndefined();
    await other.assign(id, alice, NOW);
    expect(await one.findFor(alice, id)).toMatchObject({ id });
    expect(await one.findFor(person(), id)).toBeUndefined();
    await other.configure(id, { publicOverride: true });
    expect(await one.findFor(person(), id)).toMatchObject({ id });
  });

  it('is not remembered as it was when it changes here while it is being read', async () => {
    const reading = Promise.withResolvers<void>();
    const { promise: asked, resolve: isAsked } = Promise.withResolvers<void>();
    const id = randomUUID() as ChatflowId;
    let isFirst = true;
    const collection = ((name: string) => {
      const rows = library.mongo.collection(name);
      if (name !== 'chatflows' || !isFirst) return rows;
      isFirst = false;
      const findOne = async (filter: object) => {
        const row = await rows.findOne(filter);
        isAsked();
        await reading.promise;
        return row;
      };
      return { findOne };
    }) as unknown as Mongo['collection'];
    await library.instance().chatflows.save({ ...found(id), isPublic: true }, NOW);
    const chatflows = chatflowsIn({ ...library.mongo, collection }, fresh);
    const slow = chatflows.findFor(person(), id);
    await asked;
    await chatflows.configure(id, { publicOverride: false });
    reading.resolve();
    expect(await slow).toMatchObject({ id });
    expect(await chatflows.findFor(person(), id)).toBeUndefined();
  });
});
