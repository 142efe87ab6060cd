import { describe, expect, it } from '@jest/globals';
import { AppError, unavailable } from '@tollgate/http-kit';
import type { AnswerEvent } from '../../src/domain/answer.ts';
import type { HoldId } from '../../src/domain/wire-types.ts';
import { BOB } from '../fixtures/doubles.ts';
import { codeOf, createStage, namesOf, readAll, type Stage, text } from '../fixtures/flow-stage.ts';

const forEver = new AbortController().signal;
const KEY = { idempotencyKey: 'key-1' };

const asked = (stage: Stage, changes: object = {}, { requests } = stage.streams, asker = stage.asker) =>
  readAll(requests.chat(asker, stage.ask({ ...KEY, ...changes }), forEver));
const upstreamCalls = ({ log }: Stage): number => log.filter((line) => line === 'upstream').length;

/** The same events, which say that they were charged before. */
const replayOf = (events: readonly AnswerEvent[]): AnswerEvent[] =>
  events.map((event, at) => {
    if (at === 0) return { ...event, replayed: true };
    return event.event === 'usage' ? { ...event, data: { ...Object(event.data), replayed: true } } : event;
  });

function spoken(): Stage {
  const stage = createStage();
  stage.upstream.steps = [text('One'), text(' two')];
  return stage;
}

describe('a chat request with an Idempotency-Key', () => {
  it('that is repeated gets the first answer again, here and elsewhere, and is charged once', async () => {
    const stage = spoken();
    const first = await asked(stage);
    for (const { requests } of [stage.streams, stage.elsewhere('two')]) {
      const again = await asked(stage, {}, { ...stage.streams, requests });
      expect(again.events).toEqual(replayOf(first.events));
    }
    expect(stage.accounting.endings).toHaveLength(1);
    expect(upstreamCalls(stage)).toBe(1);
  });

  it('50 times at once, over two processes, has one effect', async () => {
    const stage = spoken();
    const two = stage.elsewhere('two');
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, at) => asked(stage, {}, at % 2 === 0 ? stage.streams : two)),
    );
    const given = all.filter(({ error }) => error === undefined);
    const refused = all.filter(({ error }) => error !== undefined);
    expect(given.length).toBeGreaterThanOrEqual(1);
    expect(new Set(refused.map(({ error }) => codeOf(error)))).toEqual(new Set(['IDEMPOTENCY_IN_PROGRESS']));
    expect(upstreamCalls(stage)).toBe(1);
    expect(stage.accounting.endings).toHaveLength(1);
  });

  it('that is repeated while it runs is told so', async () => {
    const stage = createStage();
    stage.upstream.steps = [text('One'), 'hang'];
    const client = new AbortController();
    const answer = stage.requests.chat(stage.asker, stage.ask(KEY), client.signal);
    await answer.next();
    const { error } = await asked(stage);
    expect(error).toMatchObject({ code: 'IDEMPOTENCY_IN_PROGRESS', headers: { 'retry-after': '1' } });
    client.abort();
    await answer.return();
    for (const timer of stage.streams.timers) timer();
    await stage.settler.idle();
  });

  it('whose key came with another request is refused; another user may use the same key', async () => {
    const stage = spoken();
    await asked(stage);
    expect(codeOf((await asked(stage, { question: 'Another?' })).error)).toBe('IDEMPOTENCY_KEY_REUSED');
    const bob = await asked(stage, {}, stage.streams, { ...stage.asker, userId: BOB });
    expect(namesOf(bob.events)).toContain('end');
    expect(upstreamCalls(stage)).toBe(2);
  });

  it('that was refused before anything began may be repeated', async () => {
    const stage = spoken();
    stage.accounting.available = 0;
    expect(codeOf((await asked(stage)).error)).toBe('INSUFFICIENT_CREDITS');
    stage.accounting.available = 100;
    expect(namesOf((await asked(stage)).events)).toContain('end');
  });

  it('that was refused leaves no answer behind, however often it is repeated', async () => {
    const stage = spoken();
    stage.accounting.available = 0;
    for (let time = 0; time < 3; time += 1) await asked(stage);
    expect(stage.streams.world.recordings.size).toBe(0);
    expect(stage.streams.world.keys.size).toBe(0);
  });

  it('whose chatflow could not be looked up may be repeated at once', async () => {
    const stage = spoken();
    const { findFor } = stage.deps.chatflows;
    stage.deps.chatflows.findFor = async () => {
      throw unavailable('DEPENDENCY_UNAVAILABLE', 2);
    };
    expect(codeOf((await asked(stage)).error)).toBe('DEPENDENCY_UNAVAILABLE');
    stage.deps.chatflows.findFor = findFor;
    expect(namesOf((await asked(stage)).events)).toContain('end');
  });

  it('that failed half-way fails again with what was produced, and is not asked twice', async () => {
    const stage = createStage();
    stage.upstream.steps = [text('One'), new AppError('UPSTREAM_INTERRUPTED')];
    await asked(stage);
    const again = await asked(stage);
    expect([namesOf(again.events), codeOf(again.error)]).toEqual([['session_id', 'token'], 'UPSTREAM_INTERRUPTED']);
    expect(upstreamCalls(stage)).toBe(1);
  });

  it('whose client goes waits for it to come back with the key', async () => {
    const stage = createStage();
    const goOn = Promise.withResolvers<void>();
    stage.upstream.steps = [text('One'), goOn.promise, text(' two')];
    const client = new AbortController();
    const answer = stage.requests.chat(stage.asker, stage.ask(KEY), client.signal);
    const first = await answer.next();
    client.abort();
    await answer.return();
    goOn.resolve();
    const requestId = Object(first.value).request_id as HoldId;
    await readAll(await stage.requests.resume(stage.asker, requestId, 0, forEver));
    expect(namesOf((await asked(stage)).events)).toEqual(['session_id', 'token', 'token', 'usage', 'end']);
    expect(upstreamCalls(stage)).toBe(1);
  });

  it('is kept for a day, and no longer', async () => {
    const stage = spoken();
    await asked(stage);
    stage.clock.advance(86_400_000 - 1);
    stage.streams.recordings.sweep();
    expect((await asked(stage)).events[0]).toMatchObject({ replayed: true });
    stage.clock.advance(1);
    expect((await asked(stage)).events[0]).not.toHaveProperty('replayed');
  });

  it('is answered without its text when nothing may be stored, and not charged again', async () => {
    const stage = spoken();
    const [id, chatflow] = [...stage.chatflows][0] ?? [];
    if (!id || !chatflow) throw new Error('a chatflow');
    stage.chatflows.set(id, { ...chatflow, storage: { keeps: 'nothing', retentionDays: null } });
    await asked(stage);
    expect((await asked(stage)).events).toHaveLength(5);
    stage.clock.advance(300_000);
    stage.streams.recordings.sweep();
    expect(codeOf((await asked(stage)).error)).toBe('ANSWER_NOT_KEPT');
    expect(stage.accounting.endings).toHaveLength(1);
  });
});

describe('the process that answered dies', () => {
  /** A key whose first request was begun by another process, which then died; `holdOf` says how far it came. */
  async function orphan(stage: Stage) {
    const dead = stage.elsewhere('dead');
    stage.upstream.steps = [text('One'), 'hang'];
    const client = new AbortController();
    const answer = dead.requests.chat(stage.asker, stage.ask(KEY), client.signal);
    const requestId = Object((await answer.next()).value).request_id as HoldId;
    await answer.next();
    return { dead, requestId };
  }

  it('with its hold still running: the key waits for how it ends', async () => {
    const stage = createStage();
    await orphan(stage);
    stage.streams.world.dead.add('dead');
    expect(codeOf((await asked(stage)).error)).toBe('IDEMPOTENCY_IN_PROGRESS');
  });

  it('and nothing was charged: the request runs afresh, once', async () => {
    const stage = createStage();
    const { requestId } = await orphan(stage);
    stage.streams.world.dead.add('dead');
    await stage.accounting.expire(requestId, null);
    await stage.journal.close(requestId);
    stage.upstream.steps = [text('Anew')];
    const all = await Promise.all([asked(stage), asked(stage), asked(stage)]);
    expect(all.filter(({ error }) => error === undefined)).toHaveLength(1);
    expect(all.find(({ error }) => error === undefined)?.events[1]).toMatchObject({ data: 'Anew' });
    expect(upstreamCalls(stage)).toBe(2);
  });

  it('with its hold released and progress in the journal, which may still be charged: the key waits for that', async () => {
    const stage = createStage();
    const { requestId } = await orphan(stage);
    stage.streams.world.dead.add('dead');
    await stage.accounting.expire(requestId, null);
    stage.upstream.steps = [text('Anew')];
    expect(codeOf((await asked(stage)).error)).toBe('IDEMPOTENCY_IN_PROGRESS');
    stage.journal.orphans.push({ holdId: requestId, userId: stage.asker.userId, checkpoint: { request: 1 } });
    await stage.settler.tick();
    await asked(stage);
    expect(upstreamCalls(stage)).toBe(1);
  });

  it('before its hold was known: the old request can never be charged any more', async () => {
    const stage = spoken();
    await asked(stage);
    const [id, kept] = [...stage.streams.world.keys][0] ?? [];
    if (!id || !kept) throw new Error('a key');
    const lost = '11111111-1111-4111-8111-111111111111' as HoldId;
    stage.streams.world.keys.set(id, { ...kept, requestId: lost, state: 'running', instance: 'dead' });
    stage.streams.world.dead.add('dead');
    expect((await asked(stage)).events[0]).not.toHaveProperty('replayed');
    expect(stage.accounting.tombstones).toEqual([lost]);
  });

  it('and its hold arrives at this very moment: the answer is its own, the repeat waits', async () => {
    const stage = spoken();
    await asked(stage);
    const [id, kept] = [...stage.streams.world.keys][0] ?? [];
    if (!id || !kept) throw new Error('a key');
    const late = '11111111-1111-4111-8111-111111111111' as HoldId;
    stage.streams.world.keys.set(id, { ...kept, requestId: late, state: 'running', instance: 'dead' });
    stage.streams.world.dead.add('dead');
    stage.accounting.beforeBurial = () =>
      void stage.accounting.hold({ userId: stage.asker.userId }, { holdId: late, units: { request: 1 } });
    expect(codeOf((await asked(stage)).error)).toBe('IDEMPOTENCY_IN_PROGRESS');
    expect([stage.accounting.openHolds(), stage.accounting.tombstones, upstreamCalls(stage)]).toEqual([1, [], 1]);
  });

  it('and something was charged: what is known is given, and nothing is charged again', async () => {
    const stage = createStage();
    const { dead, requestId } = await orphan(stage);
    await dead.sharing.flush();
    stage.streams.world.dead.add('dead');
    await stage.accounting.end(requestId, stage.asker.userId, {
      kind: 'settle',
      outcome: 'recovered',
      units: { request: 1 },
      usageSource: 'checkpoint',
    });
    const { events, error } = await asked(stage);
    expect([namesOf(events), codeOf(error)]).toEqual([['session_id', 'token'], 'SERVER_SHUTDOWN']);
    expect(upstreamCalls(stage)).toBe(1);
  });

  it('after its answer was complete: the answer is given, whoever settles its hold', async () => {
    const stage = spoken();
    const dead = stage.elsewhere('dead');
    const first = await asked(stage, {}, dead);
    const [id, row] = [...stage.streams.world.keys][0] ?? [];
    if (!id || !row) throw new Error('a key');
    stage.streams.world.keys.set(id, { ...row, state: 'running' });
    stage.streams.world.dead.add('dead');
    expect((await asked(stage)).events).toEqual(replayOf(first.events));
    expect(upstreamCalls(stage)).toBe(1);
  });
});

it('writes the answer down before it is charged, so that no death in between loses what was paid for', async () => {
  const stage = spoken();
  const seen: unknown[] = [];
  const { end } = stage.accounting;
  stage.accounting.end = async (...inputs: Parameters<typeof end>) => {
    seen.push(stage.streams.world.recordings.get(inputs[0])?.last.state);
    return end(...inputs);
  };
  await asked(stage);
  expect(seen).toEqual(['ended']);
});
