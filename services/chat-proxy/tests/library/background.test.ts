import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ChatflowId } from '../../src/domain/wire-types.ts';
import { createEraseAccounts } from '../../src/flows/conversations/erase-accounts.ts';
import { erasuresIn } from '../../src/store/erasures.ts';
import { holdId } from '../fixtures/doubles.ts';
import {
  begin,
  DAY,
  found,
  type Instance,
  keep,
  type Library,
  MINUTE,
  openLibrary,
  person,
} from '../fixtures/library-stage.ts';

let library: Library;
beforeAll(async () => {
  library = await openLibrary();
});
afterAll(() => library.mongo.close());
beforeEach(() => library.reset());

describe('a process that dies in the middle of an answer', () => {
  it('leaves its question with an answer that failed, once, whoever looks first', async () => {
    const [one, other] = [library.instance(), library.instance()];
    const { owner, session } = await begin(one);
    await Promise.all([one.finish(), other.finish()]);
    expect(await one.sessions.find(owner, session.id)).toBeUndefined();
    library.clock.advance(MINUTE + 1);
    await Promise.all([one.finish(), other.finish(), one.finish()]);
    const kept = await one.sessions.find(owner, session.id);
    expect(kept).toMatchObject({ topic: 'What is a toll?', messageCount: 2 });
    expect(kept?.upstreamChatIds).toHaveLength(2);
    expect((await one.messages.page(session, { limit: 9 })).messages).toMatchObject([
      { role: 'user', content: 'What is a toll?', status: 'completed' },
      { role: 'assistant', content: '', status: 'failed' },
    ]);
  });

  it('but had saved the answer, loses nothing of it', async () => {
    const on = library.instance();
    const { owner, session, saves } = await begin(on);
    await saves();
    library.clock.advance(MINUTE + 1);
    await on.finish();
    expect(await on.sessions.find(owner, session.id)).toMatchObject({ messageCount: 2 });
    expect((await on.messages.page(session, { limit: 9 })).messages[1]).toMatchObject({ content: 'A charge' });
  });

  it('and was only silent, has the last word', async () => {
    const on = library.instance();
    const { owner, session, saves, releases } = await begin(on);
    library.clock.advance(MINUTE + 1);
    await on.finish();
    await saves();
    expect(await releases()).toBe(true);
    expect(await on.sessions.find(owner, session.id)).toMatchObject({ messageCount: 2 });
    expect((await on.messages.page(session, { limit: 9 })).messages[1]).toMatchObject({
      content: 'A charge',
      status: 'completed',
    });
  });

  it('keeps its question from being overwritten by the next one', async () => {
    const on = library.instance();
    const { owner, session } = await begin(on);
    library.clock.advance(MINUTE + 1);
    const lease = { id: holdId(), until: new Date(library.clock.now() + MINUTE) };
    const now = new Date(library.clock.now());
    const claim = { id: session.id, owner, chatflowId: 'flow' as ChatflowId, lease, now, forgetAt: now };
    expect(await on.sessions.claim(claim)).toMatchObject({ unfinished: { pending: { question: 'What is a toll?' } } });
    await on.finish();
    expect(await on.sessions.claim(claim)).toMatchObject({ isNew: false });
  });
});

describe('retention', () => {
  const limit = (on: Instance, days: number) => on.chatflows.setStorage('w-1', { keeps: 'all', retentionDays: days });

  it('deletes what is older than chatflow or workspace allow, by the stricter of the two, here and at the flow', async () => {
    const on = library.instance();
    await on.chatflows.save(found('flow'), new Date(library.clock.now()));
    await on.chatflows.configure('flow' as ChatflowId, { retentionDays: 10 });
    await limit(on, 5);
    const [byFlow, byWorkspace, kept] = [
      await keep(on),
      await keep(on, { owner: person('w-1') }),
      await keep(on, { chatflowId: 'other' }),
    ];
    library.clock.advance(5 * DAY + 1);
    await on.retain();
    expect([await library.leftOf(byFlow.session), await library.leftOf(byWorkspace.session)]).toEqual([
      [1, 2],
      [0, 0],
    ]);
    library.clock.advance(5 * DAY);
    await on.retain();
    expect([await library.leftOf(byFlow.session), await library.leftOf(kept.session)]).toEqual([
      [0, 0],
      [1, 2],
    ]);
    await on.forget();
    expect(on.forgotten.toSorted()).toEqual(
      [byFlow, byWorkspace].map(({ session }) => session.upstreamMemoryId).toSorted(),
    );
    expect(on.filesOf).toEqual(expect.arrayContaining([byFlow.session.id, byWorkspace.session.id]));
    expect(await library.count('upstream_forgets')).toBe(0);
  });

  it('leaves a conversation alone that answers, or that was used again', async () => {
    const on = library.instance();
    await limit(on, 1);
    const owner = person('w-1');
    const { session } = await keep(on, { owner });
    library.clock.advance(2 * DAY);
    const again = await begin(on, { owner, id: session.id });
    await on.retain();
    expect(await library.leftOf(session)).toEqual([1, 2]);
    await again.saves();
    await again.releases();
    library.clock.advance(10 * MINUTE);
    await on.retain();
    expect(await library.leftOf(session)).toEqual([1, 4]);
  });

  it('is enforced by one of many instances, and by another one when its turn is over', async () => {
    const all = Array.from({ length: 10 }, () => library.instance());
    const [first] = all;
    if (!first) throw new Error('ten instances');
    await limit(first, 1);
    const old = await Promise.all(Array.from({ length: 120 }, () => keep(first, { owner: person('w-1') })));
    library.clock.advance(2 * DAY);
    await Promise.all(all.map((on) => on.retain()));
    expect(await library.count('sessions')).toBe(0);
    expect(
      all
        .map(({ filesOf }) => filesOf.length)
        .toSorted((a, b) => b - a)
        .slice(0, 2),
    ).toEqual([old.length, 0]);
    expect(await library.count('upstream_forgets')).toBe(old.length);
  });

  it('forgets conversations without stored messages after their time, at the flow too', async () => {
    const on = library.instance();
    const unstored = await begin(on);
    await unstored.releases(false);
    library.clock.advance(30 * DAY + 1);
    await on.retain();
    await on.forget();
    expect([await library.leftOf(unstored.session), on.forgotten]).toEqual([
      [0, 0],
      [unstored.session.upstreamMemoryId],
    ]);
  });
});

describe('what is noted to be forgotten', () => {
  it('waits while the conversation still stands, and happens again after what came in late', async () => {
    const on = library.instance();
    const { owner, session } = await keep(on);
    await on.forgetting.add([
      { chatflowId: session.chatflowId, chatId: 'slot', session, at: new Date(library.clock.now()) },
    ]);
    await on.forget();
    expect([on.forgotten, await library.leftOf(session)]).toEqual([[], [1, 2]]);
    await on.remove.one(owner, session.id);
    await on.forget();
    expect(on.forgotten).toEqual([session.upstreamMemoryId]);
    library.clock.advance(15 * MINUTE);
    await on.forget();
    expect(on.forgotten.toSorted()).toEqual([session.upstreamMemoryId, session.upstreamMemoryId, 'slot'].toSorted());
  });

  it('takes the messages of a process that died after the deletion, and leaves those of a successor with the same id', async () => {
    const on = library.instance();
    const { owner, session, saves } = await begin(on);
    await on.remove.one(owner, session.id);
    await saves();
    const successor = await keep(on, { owner, id: session.id, question: 'Mine' });
    expect((await on.messages.page(successor.session, { limit: 9 })).messages).toHaveLength(2);
    library.clock.advance(15 * MINUTE);
    await on.forget();
    expect(await library.leftOf(session)).toEqual([1, 2]);
    expect((await on.messages.page(successor.session, { limit: 9 })).messages[0]).toMatchObject({ content: 'Mine' });
  });
});

it('erases a deleted account once its time is over, told of it or not by several instances', async () => {
  const [one, other] = [library.instance(), library.instance()];
  const gone = await keep(one, { owner: person('w-1') });
  const kept = await keep(one);
  const eraser = (on: Instance) =>
    createEraseAccounts({
      erasures: erasuresIn(library.mongo),
      chatflows: on.chatflows,
      ofUser: on.remove.ofUser,
      clock: library.clock,
      afterMs: DAY,
    });
  await one.chatflows.assign(
    'flow' as ChatflowId,
    { userId: gone.owner.userId, username: 'gone', email: 'gone@example.test' },
    new Date(library.clock.now()),
  );
  const erasers = [eraser(one), eraser(other)];
  for (const each of erasers) each.told([gone.owner.userId]);
  await Promise.all(erasers.map((each) => each.eraseNext()));
  expect(await library.leftOf(gone.session)).toEqual([1, 2]);
  library.clock.advance(DAY);
  await Promise.all(erasers.map((each) => each.eraseNext()));
  expect([await library.leftOf(gone.session), await library.leftOf(kept.session)]).toEqual([
    [0, 0],
    [1, 2],
  ]);
  expect(await library.count('user_erasures')).toBe(0);
  expect(await library.count('chatflow_assignments')).toBe(0);
});
