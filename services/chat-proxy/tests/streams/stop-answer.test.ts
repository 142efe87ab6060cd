import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { AnswerEvent } from '../../src/domain/answer.ts';
import type { ChatflowId, HoldId, SessionId } from '../../src/domain/wire-types.ts';
import { BOB } from '../fixtures/doubles.ts';
import { createStage, namesOf, readAll, type Stage, text } from '../fixtures/flow-stage.ts';

/** An answer that has said two words and then goes on for ever. */
async function running(stage: Stage) {
  stage.upstream.steps = [text('One'), text(' two'), 'hang'];
  const answer = stage.requests.chat(stage.asker, stage.ask(), new AbortController().signal);
  const opening = (await answer.next()).value as AnswerEvent;
  await answer.next();
  await answer.next();
  const requestId = opening['request_id'] as HoldId;
  return { answer, requestId, sessionId: String(opening.data) as SessionId, rest: readAll(answer) };
}

describe('an answer that its user stops', () => {
  it('ends with its price and an abort, is charged for what was produced, and is kept as aborted', async () => {
    const stage = createStage();
    const { requestId, rest } = await running(stage);
    expect(await stage.requests.stop(stage.asker, { requestId })).toBe(true);
    const { events, error } = await rest;
    expect(error).toBeUndefined();
    expect(namesOf(events)).toEqual(['usage', 'abort', 'end']);
    expect(stage.accounting.endings).toMatchObject([
      { holdId: requestId, ending: { kind: 'settle', outcome: 'aborted' } },
    ]);
    expect(stage.messages.saved.map(({ status, content }) => [status, content])).toEqual([
      ['completed', 'What is a toll?'],
      ['aborted', 'One two'],
    ]);
    expect(stage.upstream.returned).toBe(1);
  });

  it('is found by its conversation as well', async () => {
    const stage = createStage();
    const { sessionId, rest } = await running(stage);
    const { chatflowId } = stage.ask();
    expect(await stage.requests.stop(stage.asker, { chatflowId, sessionId })).toBe(true);
    expect(namesOf((await rest).events)).toEqual(['usage', 'abort', 'end']);
  });

  it('before its first word costs nothing and still ends cleanly', async () => {
    const stage = createStage();
    const sessionId = randomUUID() as SessionId;
    stage.upstream.steps = [
      () => void stage.requests.stop(stage.asker, { chatflowId: stage.ask().chatflowId, sessionId }),
      'hang',
    ];
    const { events } = await readAll(
      stage.requests.chat(stage.asker, stage.ask({ sessionId }), new AbortController().signal),
    );
    expect(namesOf(events)).toEqual(['session_id', 'usage', 'abort', 'end']);
    expect(events[1]).toMatchObject({ data: { credits: 0 } });
    expect(stage.accounting.endings).toMatchObject([{ ending: { kind: 'void' } }]);
  });

  it.each([
    ['another user', { userId: BOB }],
    ['the same user in another workspace', { workspaceId: 'elsewhere' }],
  ])('is unknown to %s', async (_who, changes) => {
    const stage = createStage();
    const { requestId, sessionId, rest } = await running(stage);
    const stranger = { ...stage.asker, ...changes };
    const { chatflowId } = stage.ask();
    expect(await stage.requests.stop(stranger, { requestId })).toBe(false);
    expect(await stage.requests.stop(stranger, { chatflowId, sessionId })).toBe(false);
    expect(await stage.requests.stop(stage.asker, { requestId })).toBe(true);
    await rest;
  });

  it('is unknown once it is over, and so is one that never was', async () => {
    const stage = createStage();
    const { requestId, rest } = await running(stage);
    await stage.requests.stop(stage.asker, { requestId });
    await rest;
    expect(await stage.requests.stop(stage.asker, { requestId })).toBe(false);
    const never = { chatflowId: 'x' as ChatflowId, sessionId: randomUUID() as SessionId };
    expect(await stage.requests.stop(stage.asker, never)).toBe(false);
  });
});
