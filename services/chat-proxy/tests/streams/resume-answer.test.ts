import { describe, expect, it } from '@jest/globals';
import { eventually } from '@tollgate/test-kit';
import { AppError } from '@tollgate/http-kit';
import type { AnswerEvent } from '../../src/domain/answer.ts';
import type { HoldId } from '../../src/domain/wire-types.ts';
import { BOB } from '../fixtures/doubles.ts';
import { codeOf, createStage, namesOf, readAll, type Stage, type Step, text } from '../fixtures/flow-stage.ts';

const forEver = new AbortController().signal;

/** An answer whose client reads so many events and goes. */
async function dropped(stage: Stage, { steps, reads, ask = {} }: { steps: Step[]; reads: number; ask?: object }) {
  stage.upstream.steps = steps;
  const client = new AbortController();
  const answer = stage.requests.chat(stage.asker, stage.ask(ask), client.signal);
  const events: AnswerEvent[] = [];
  for (let read = 0; read < reads; read += 1) events.push((await answer.next()).value as AnswerEvent);
  client.abort();
  await answer.return();
  return { events, requestId: events[0]?.['request_id'] as HoldId };
}

const resumed = async (stage: Stage, requestId: HoldId, after: number, owner = stage.asker) =>
  readAll(await stage.requests.resume(owner, requestId, after, forEver));

/** Runs what the process waits for, as if the time had passed. */
function timePasses(stage: Stage): void {
  const due = Array.from(stage.streams.timers);
  for (const timer of due) timer();
}

describe('an answer that is read again', () => {
  it('gives the events that are missing, and charges nothing', async () => {
    const stage = createStage();
    stage.upstream.steps = [text('One'), text(' two')];
    const { events } = await readAll(stage.requests.chat(stage.asker, stage.ask(), forEver));
    const requestId = events[0]?.['request_id'] as HoldId;
    const again = await resumed(stage, requestId, 2);
    expect(again.events).toEqual(events.slice(2));
    expect(stage.accounting.endings).toHaveLength(1);
    expect(stage.log.filter((line) => line === 'upstream')).toHaveLength(1);
  });

  it('is followed while it is given', async () => {
    const stage = createStage();
    const goOn = Promise.withResolvers<void>();
    stage.upstream.steps = [text('One'), goOn.promise, text(' two')];
    const answer = stage.requests.chat(stage.asker, stage.ask(), forEver);
    const opening = (await answer.next()).value as AnswerEvent;
    await answer.next();
    const second = resumed(stage, opening['request_id'] as HoldId, 0);
    goOn.resolve();
    await readAll(answer);
    expect(namesOf((await second).events)).toEqual(['session_id', 'token', 'token', 'usage', 'end']);
  });

  it('whose client has gone ended with it: the rest is what was produced, and its price', async () => {
    const stage = createStage();
    const { requestId } = await dropped(stage, { steps: [text('One'), text(' two'), 'hang'], reads: 2 });
    expect(stage.accounting.endings).toHaveLength(1);
    expect(namesOf((await resumed(stage, requestId, 2)).events)).toEqual(['usage', 'abort', 'end']);
  });

  it.each([
    ['its price', 3],
    ['its end', 4],
  ])('whose client goes with %s in its hands ended as it was told, once', async (_with, reads) => {
    const stage = createStage();
    const { requestId } = await dropped(stage, { steps: [text('One')], reads });
    const told = await resumed(stage, requestId, 0);
    expect(namesOf(told.events)).toEqual(['session_id', 'token', 'usage', 'end']);
    expect(stage.accounting.endings).toMatchObject([{ ending: { outcome: 'completed' } }]);
  });

  it('ends as the answer did: a failure comes again', async () => {
    const stage = createStage();
    stage.upstream.steps = [text('One'), new AppError('UPSTREAM_INTERRUPTED')];
    const { events } = await readAll(stage.requests.chat(stage.asker, stage.ask(), forEver));
    const again = await resumed(stage, events[0]?.['request_id'] as HoldId, 1);
    expect([namesOf(again.events), codeOf(again.error)]).toEqual([['token'], 'UPSTREAM_INTERRUPTED']);
  });

  it.each([
    ['another user', { userId: BOB }],
    ['the same user in another workspace', { workspaceId: 'elsewhere' }],
  ])('is unknown to %s, here and elsewhere', async (_who, changes) => {
    const stage = createStage();
    stage.upstream.steps = [text('One')];
    const { events } = await readAll(stage.requests.chat(stage.asker, stage.ask({ keepRunningSeconds: 5 }), forEver));
    await stage.streams.sharing.flush();
    const requestId = events[0]?.['request_id'] as HoldId;
    const stranger = { ...stage.asker, ...changes };
    for (const { requests } of [stage.streams, stage.elsewhere('two')])
      await expect(requests.resume(stranger, requestId, 0, forEver)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('expires', async () => {
    const stage = createStage();
    stage.upstream.steps = [text('One')];
    const { events } = await readAll(stage.requests.chat(stage.asker, stage.ask({ keepRunningSeconds: 5 }), forEver));
    const requestId = events[0]?.['request_id'] as HoldId;
    await stage.streams.sharing.flush();
    stage.clock.advance(300_000);
    stage.streams.recordings.sweep();
    await expect(resumed(stage, requestId, 0)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(stage.streams.recordings.bytes).toBe(0);
  });

  it('and is too long to be kept says so, and is complete for its first reader', async () => {
    const stage = createStage();
    stage.upstream.steps = Array.from({ length: 20 }, () => text('x'.repeat(10_000)));
    const { events } = await readAll(stage.requests.chat(stage.asker, stage.ask(), forEver));
    expect(events).toHaveLength(23);
    const requestId = events[0]?.['request_id'] as HoldId;
    expect(stage.streams.recordings.bytes).toBeLessThanOrEqual(65_536);
    expect(namesOf((await resumed(stage, requestId, 20)).events)).toEqual(['token', 'usage', 'end']);
    await expect(resumed(stage, requestId, 0)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('an answer whose client has asked it to go on', () => {
  const ask = { keepRunningSeconds: 20 };

  it('goes on without it to its end, is charged once, and is read to its end later', async () => {
    const stage = createStage();
    const goOn = Promise.withResolvers<void>();
    const steps = [text('One'), goOn.promise, text(' two')];
    const { requestId, events } = await dropped(stage, { steps, reads: 2, ask });
    expect(stage.accounting.endings).toEqual([]);
    goOn.resolve();
    const rest = await resumed(stage, requestId, 2);
    expect(namesOf([...events, ...rest.events])).toEqual(['session_id', 'token', 'token', 'usage', 'end']);
    expect(stage.accounting.endings).toMatchObject([{ ending: { outcome: 'completed' } }]);
    const saved = await eventually(async () => stage.messages.saved.at(-1), 'the messages');
    expect(saved).toMatchObject({ content: 'One two', status: 'completed' });
  });

  it('ends when nobody has come back in time, and is charged for what was produced', async () => {
    const stage = createStage();
    const { requestId } = await dropped(stage, { steps: [text('One'), 'hang'], reads: 2, ask });
    expect(stage.accounting.endings).toEqual([]);
    timePasses(stage);
    expect(namesOf((await resumed(stage, requestId, 2)).events)).toEqual(['usage', 'abort', 'end']);
    expect(stage.accounting.endings).toMatchObject([{ ending: { kind: 'settle', outcome: 'aborted' } }]);
  });

  it('waits no longer once somebody reads it again', async () => {
    const stage = createStage();
    const { requestId } = await dropped(stage, { steps: [text('One'), 'hang'], reads: 2, ask });
    const reader = await stage.requests.resume(stage.asker, requestId, 0, forEver);
    await reader.next();
    expect(stage.streams.timers.size).toBe(0);
    await reader.return();
    expect(stage.streams.timers.size).toBe(1);
    timePasses(stage);
    await resumed(stage, requestId, 0);
  });

  it('is one of a bounded number: a further one ends with its client', async () => {
    const stage = createStage();
    const steps = [text('One'), 'hang'] as Step[];
    for (let count = 0; count < 3; count += 1) await dropped(stage, { steps, reads: 2, ask });
    expect(stage.streams.patience.waiting).toBe(2);
    await stage.settler.idle();
    timePasses(stage);
  });

  it('is read by way of another process, while it is given and afterwards', async () => {
    const stage = createStage();
    const goOn = Promise.withResolvers<void>();
    const steps = [text('One'), goOn.promise, text(' two')];
    const { requestId } = await dropped(stage, { steps, reads: 2, ask });
    await stage.streams.sharing.flush();
    const other = stage.elsewhere('two');
    const reader = await other.requests.resume(stage.asker, requestId, 1, forEver);
    expect((await reader.next()).value).toEqual({ event: 'token', data: 'One' });
    const next = reader.next();
    // Its process hears that it is read there, and goes on waiting.
    await Promise.resolve();
    await stage.requests.listen();
    expect(stage.streams.patience.waiting).toBe(1);
    goOn.resolve();
    await resumed(stage, requestId, 2);
    await stage.streams.sharing.flush();
    expect((await next).value).toEqual({ event: 'token', data: ' two' });
    expect(namesOf((await readAll(reader)).events)).toEqual(['usage', 'end']);
  });

  it('and whose process dies ends for its reader elsewhere', async () => {
    const stage = createStage();
    const { requestId } = await dropped(stage, { steps: [text('One'), 'hang'], reads: 2, ask });
    await stage.streams.sharing.flush();
    stage.streams.world.dead.add('one');
    const other = stage.elsewhere('two');
    const { events, error } = await readAll(await other.requests.resume(stage.asker, requestId, 0, forEver));
    expect([namesOf(events), codeOf(error)]).toEqual([['session_id', 'token'], 'SERVER_SHUTDOWN']);
    timePasses(stage);
  });

  it('is written nowhere when its chatflow stores nothing', async () => {
    const stage = createStage();
    const [id, chatflow] = [...stage.chatflows][0] ?? [];
    if (!id || !chatflow) throw new Error('a chatflow');
    stage.chatflows.set(id, { ...chatflow, storage: { keeps: 'nothing', retentionDays: null } });
    stage.upstream.steps = [text('Secret')];
    const { events } = await readAll(stage.requests.chat(stage.asker, stage.ask(ask), forEver));
    await stage.streams.sharing.flush();
    expect(stage.streams.world.recordings.size).toBe(0);
    expect((await resumed(stage, events[0]?.['request_id'] as HoldId, 0)).events).toEqual(events);
  });
});
