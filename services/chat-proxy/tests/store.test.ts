import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import { type Mongo, openMongo, runMigrations } from '@tollgate/mongo-kit';
import { mongoDatabaseUrl, newUserId } from '@tollgate/test-kit';
import type { ChatflowId, SessionId, UserId } from '../src/domain/wire-types.ts';
import type { FoundChatflow, Owner, Session, SessionClaim, Sessions } from '../src/ports.ts';
import { chatflowsIn } from '../src/store/chatflows/chatflows.ts';
import { forgettingIn } from '../src/store/forgetting.ts';
import { messagesIn } from '../src/store/messages.ts';
import { MIGRATIONS } from '../src/store/migrations.ts';
import { sessionsIn } from '../src/store/sessions.ts';
import { holdId } from './fixtures/doubles.ts';

const NOW = new Date('2030-01-01T00:00:00Z');
const after = (seconds: number) => new Date(NOW.getTime() + seconds * 1000);
const sessionId = () => randomUUID() as SessionId;
const userId = () => newUserId() as UserId;

let mongo: Mongo;
beforeAll(async () => {
  mongo = openMongo({ url: mongoDatabaseUrl(), defaultDatabase: 'unused' });
  await mongo.connected;
  await runMigrations(mongo.db(), MIGRATIONS);
});
afterAll(() => mongo.close());

describe('a session', () => {
  const chatflowId = 'flow' as ChatflowId;
  const claimOf = (id: SessionId, owner: Owner, at = NOW) => ({
    id,
    owner,
    chatflowId,
    lease: { id: holdId(), until: new Date(at.getTime() + 60_000) },
    now: at,
    forgetAt: after(30 * 86_400),
  });
  const open = async (sessions: Sessions, claim: SessionClaim): Promise<Session> => {
    const claimed = await sessions.claim(claim);
    if (typeof claimed === 'string' || !('session' in claimed)) throw new Error('not claimed');
    return claimed.session;
  };
  const ending = ({ id, upstreamMemoryId }: Session, claim: SessionClaim) => ({
    id,
    upstreamMemoryId,
    leaseId: claim.lease.id,
  });
  const person = (): Owner => ({ userId: userId() });
  const stored = { beginning: { topic: 'topic', firstMessage: 'first' }, at: NOW, messages: 2 };

  it('lets one of twenty simultaneous answers begin', async () => {
    const sessions = sessionsIn(mongo, 'default');
    const [id, owner] = [sessionId(), person()];
    const results = await Promise.all(Array.from({ length: 20 }, () => sessions.claim(claimOf(id, owner))));
    expect(results.filter((result) => typeof result === 'object')).toHaveLength(1);
    expect(results.filter((result) => result === 'busy')).toHaveLength(19);
  });

  it('is nobody else’s, and of no other chatflow', async () => {
    const sessions = sessionsIn(mongo, 'default');
    const [id, owner] = [sessionId(), person()];
    const claim = claimOf(id, owner);
    const session = await open(sessions, claim);
    await sessions.release({ ...ending(session, claim), discard: false, stored });
    expect(await sessions.claim(claimOf(id, person()))).toBe('not-found');
    expect(await sessions.claim({ ...claimOf(id, owner), chatflowId: 'other' as ChatflowId })).toBe('not-found');
    expect(await sessions.find(person(), id)).toBeUndefined();
    expect(await sessions.findAny(person(), id)).toBeUndefined();
    expect(await sessions.rename(person(), id, 'mine')).toBeUndefined();
    expect(await sessions.claim(claimOf(id, owner))).toMatchObject({ isNew: false, session: { topic: 'topic' } });
  });

  it('is free again when its answer’s process has been silent for the lease', async () => {
    const sessions = sessionsIn(mongo, 'default');
    const [id, owner] = [sessionId(), person()];
    const claim = claimOf(id, owner);
    await sessions.claim(claim);
    await sessions.renewLeases([claim.lease.id], after(100));
    expect(await sessions.claim(claimOf(id, owner, after(90)))).toBe('busy');
    expect(await sessions.claim(claimOf(id, owner, after(101)))).toMatchObject({ isNew: false });
  });

  it('is released once: a repetition counts nothing twice, and a late one does not free the next answer', async () => {
    const sessions = sessionsIn(mongo, 'default');
    const [id, owner] = [sessionId(), person()];
    const claim = claimOf(id, owner);
    const release = {
      ...ending(await open(sessions, claim), claim),
      discard: false,
      freshChatId: 'slot-2',
      stored,
    };
    expect(await sessions.release(release)).toBe(true);
    await sessions.claim(claimOf(id, owner));
    expect(await sessions.release(release)).toBe(true);
    expect(await sessions.claim(claimOf(id, owner))).toBe('busy');
    expect(await sessions.find(owner, id)).toMatchObject({
      messageCount: 2,
      upstreamChatIds: [expect.any(String), 'slot-2'],
    });
  });

  it('leaves nothing of an answer that never began, and stays deleted', async () => {
    const sessions = sessionsIn(mongo, 'default');
    const [id, owner] = [sessionId(), person()];
    const claim = claimOf(id, owner);
    const first = await open(sessions, claim);
    expect(await sessions.release({ ...ending(first, claim), discard: true })).toBe(false);
    expect(await mongo.collection('sessions').countDocuments({ user_id: owner.userId })).toBe(0);
    const again = claimOf(id, owner);
    const second = await open(sessions, again);
    await sessions.delete(second);
    expect(await sessions.release({ ...ending(second, again), discard: false, stored })).toBe(false);
  });

  it('is found on exactly one page', async () => {
    const sessions = sessionsIn(mongo, 'default');
    const owner = person();
    for (let at = 0; at < 7; at += 1) {
      const claim = claimOf(sessionId(), owner);
      const session = await open(sessions, claim);
      await sessions.release({
        ...ending(session, claim),
        discard: false,
        stored: { ...stored, at: after(at % 3) },
      });
    }
    const seen: Session[] = [];
    let cursor: string | null | undefined;
    do {
      const page = await sessions.list(owner, { limit: 2, cursor: cursor ?? undefined });
      seen.push(...page.sessions);
      cursor = page.nextCursor;
    } while (cursor);
    expect([seen.length, new Set(seen.map(({ id }) => id)).size]).toEqual([7, 7]);
    await expect(sessions.list(owner, { limit: 2, cursor: 'nonsense' })).rejects.toBeInstanceOf(AppError);
  });
});

describe('messages', () => {
  it('come newest page first, each page oldest first, and are saved once', async () => {
    const messages = messagesIn(mongo);
    const id = sessionId();
    const owner = userId();
    const all = Array.from({ length: 5 }, (_, at) => ({
      id: randomUUID(),
      sessionId: id,
      upstreamMemoryId: 'memory',
      userId: owner,
      role: 'user' as const,
      content: `$m.${at} \u0000`,
      status: 'completed' as const,
      createdAt: after(at),
      credits: null,
      usage: null,
      requestId: null,
      events: [{ event: 'usedTools', data: { $where: 1, 'a.b': 2 } }],
      fileIds: [],
    }));
    await messages.save(all);
    await messages.save(all);
    const session = { id, upstreamMemoryId: 'memory' };
    const last = await messages.page(session, { limit: 3 });
    const first = await messages.page(session, { limit: 3, cursor: last.nextCursor ?? '' });
    expect([first.messages, last.messages]).toEqual([all.slice(0, 2), all.slice(2)]);
    expect([first.nextCursor, await messages.deleteOf([session])]).toEqual([null, 5]);
  });
});

describe('chatflows', () => {
  const found = (id: string, changes: Partial<FoundChatflow> = {}): FoundChatflow => ({
    id: id as ChatflowId,
    upstream: 'flowise',
    kind: 'flowise',
    model: 'CHATFLOW',
    name: id,
    description: null,
    category: null,
    type: 'CHATFLOW',
    deployed: true,
    isPublic: false,
    config: { welcomeMessage: 'Hi' },
    uploads: { images: false, files: true, audio: false },
    createdAt: NOW,
    updatedAt: NOW,
    ...changes,
  });

  it('belong to those they are assigned to, and to everybody while they are public', async () => {
    const chatflows = chatflowsIn(mongo, { freshMs: 1, defaultWorkspaceId: 'default' });
    const id = randomUUID() as ChatflowId;
    const alice = { userId: userId(), username: 'alice', email: 'Alice@example.test' };
    expect(await chatflows.save(found(id), NOW)).toBe('created');
    expect(await chatflows.save(found(id), NOW)).toBe('unchanged');
    expect(await chatflows.findFor(alice, id)).toBeUndefined();
    expect(await chatflows.assign(id, alice, NOW)).toBe('Assigned');
    expect(await chatflows.assign(id, alice, NOW)).toBe('No Action');
    expect(await chatflows.findFor(alice, id)).toMatchObject({ id });
    expect(await chatflows.assignedTo(alice)).toMatchObject([{ chatflow: { id }, assignedAt: NOW }]);
    expect(await chatflows.unassign(id, 'alice@example.test')).toBe(true);
    expect(await chatflows.unassign(id, 'alice@example.test')).toBe(false);
    expect(await chatflows.findFor(alice, id)).toBeUndefined();
    expect(await chatflows.assign(id, alice, NOW)).toBe('Reactivated');
    await chatflows.unassign(id, 'alice@example.test');
    await chatflows.configure(id, { publicOverride: true });
    expect(await chatflows.listFor(alice)).toMatchObject([{ id }]);
    await chatflows.save(found(id, { name: 'renamed' }), NOW);
    expect(await chatflows.find(id)).toMatchObject({ name: 'renamed', publicOverride: true });
    await chatflows.markDeleted([id], NOW);
    expect(await chatflows.findFor(alice, id)).toBeUndefined();
    expect(await chatflows.save(found(id, { name: 'renamed' }), NOW)).toBe('updated');
  });

  it('are assigned once by two administrators at the same moment', async () => {
    const chatflows = chatflowsIn(mongo, { freshMs: 1, defaultWorkspaceId: 'default' });
    const id = randomUUID() as ChatflowId;
    const bob = { userId: userId(), username: 'bob', email: 'bob@example.test' };
    const results = await Promise.all(Array.from({ length: 8 }, () => chatflows.assign(id, bob, NOW)));
    expect(results.toSorted()).toEqual(['Assigned', ...Array.from({ length: 7 }, () => 'No Action')]);
    expect(await chatflows.users(id)).toMatchObject([{ email: 'bob@example.test' }]);
  });
});

describe('what is to be forgotten upstream', () => {
  it('is taken by one process at a time, and comes again later until it is removed', async () => {
    const forgetting = forgettingIn(mongo);
    const retry = { firstMs: 60_000, longestMs: 3_600_000 };
    await forgetting.add([{ chatflowId: 'flow' as ChatflowId, chatId: 'chat', at: NOW }]);
    const taken = await Promise.all([forgetting.take(NOW, retry), forgetting.take(NOW, retry)]);
    const [chat] = taken.filter((each) => each !== undefined);
    expect(taken.filter(Boolean)).toHaveLength(1);
    expect(await forgetting.take(after(59), retry)).toBeUndefined();
    expect(await forgetting.take(after(61), retry)).toMatchObject({ chatId: 'chat', attempts: 1 });
    await forgetting.remove(chat?.id ?? '');
    expect(await forgetting.take(after(10_000), retry)).toBeUndefined();
  });
});
