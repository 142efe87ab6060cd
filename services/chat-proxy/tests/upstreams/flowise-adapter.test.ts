import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import { type FakeFlowise, type Scenario, startFakeFlowise } from '@tollgate/test-kit';
import { type Flowise, flowise } from '../../src/clients/flowise/flowise.ts';
import { isReplaceable, isServerFault, UpstreamError } from '../../src/clients/upstream/upstream-error.ts';
import type { UpstreamPart } from '../../src/domain/answer.ts';
import type { Chatflow } from '../../src/domain/chatflow.ts';
import { AGENTFLOW, chatflowOf, holdId } from '../fixtures/doubles.ts';
import { codeOf, createStage, METADATA, readAll, text } from '../fixtures/flow-stage.ts';
import { until } from '../fixtures/proxy.ts';
import { serverOptions } from '../fixtures/servers.ts';

const KEYED = 'ce7ed000-0000-4000-8000-000000000009';

let fake: FakeFlowise;
let client: Flowise;
beforeAll(async () => {
  fake = await startFakeFlowise();
  fake.setFlows([...fake.flows(), { ...fake.chain, id: KEYED, name: 'Keyed', apiKey: 'key-of-the-flow' }]);
  const timeouts = { firstByteMs: 2000, idleMs: 2000, totalMs: 20_000 };
  client = flowise(serverOptions({ baseUrl: fake.url, apiKey: fake.apiKey, timeouts, endingMs: 120 }));
});
beforeEach(() => fake.reset());
afterAll(async () => {
  await client.close();
  await fake.stop();
});

const flowOf = (id: string, like = chatflowOf()): Chatflow => ({ ...like, id: id as Chatflow['id'] });

async function answerOf(chatflow: Chatflow, scenario: Scenario, signal = new AbortController().signal) {
  fake.next(scenario);
  const names = { upstreamChatId: randomUUID(), upstreamMemoryId: randomUUID(), requestId: holdId() };
  const prompt = { ...names, question: 'Hi', history: [], uploads: [], overrides: {} };
  const parts: UpstreamPart[] = [];
  try {
    for await (const some of client.answer(chatflow, prompt, 100, signal)) parts.push(...some);
    return { parts, error: undefined, chatId: names.upstreamChatId };
  } catch (error) {
    return { parts, error, chatId: names.upstreamChatId };
  }
}

const kinds = (parts: readonly UpstreamPart[]) =>
  parts.map((part) => (part.kind === 'event' ? part.event.event : part.kind));

describe('a chain that falls silent after its text', () => {
  const SILENT = { tokens: 3, hangAfter: 3, heartbeatMs: 20 };

  it('has answered, and nobody waits for its metadata', async () => {
    const { parts, error, chatId } = await answerOf(flowOf(fake.chain.id), SILENT);
    expect([error, kinds(parts)]).toEqual([undefined, ['start', 'text', 'text', 'text', 'unattended', 'metadata']]);
    await fake.untilClosed(0);
    expect(fake.aborts.filter((abort) => abort.chatId === chatId)).toEqual([]);
  });

  it('is charged as any other, and its place is left to it: the next question gets another one', async () => {
    const stage = createStage();
    stage.upstream.steps = [text('Hi'), { kind: 'unattended' }, METADATA];
    const { events } = await readAll(stage.start());
    const sessionId = String(events[0]?.data);
    stage.upstream.steps = [text('Hi'), METADATA];
    await readAll(stage.start({ sessionId }));
    await readAll(stage.start({ sessionId }));
    expect(stage.accounting.endings).toMatchObject(Array(3).fill({ ending: { kind: 'settle', outcome: 'completed' } }));
    const prompts = stage.upstream.prompts.map(Object);
    expect(prompts[1].upstreamChatId).not.toBe(prompts[0].upstreamChatId);
    expect(prompts[2].upstreamChatId).toBe(prompts[1].upstreamChatId);
    expect(new Set(prompts.map(({ upstreamMemoryId }) => upstreamMemoryId)).size).toBe(1);
  });

  it('is no answer before the first piece of it, nor is an agent that may be at work', async () => {
    const nothing = await answerOf(flowOf(fake.chain.id), { ...SILENT, hangAfter: 0 });
    const agent = await answerOf(flowOf(fake.agentflow.id, AGENTFLOW), SILENT);
    expect([codeOf(nothing.error), codeOf(agent.error)]).toEqual(['UPSTREAM_TIMEOUT', 'UPSTREAM_TIMEOUT']);
    expect(kinds(agent.parts)).not.toContain('unattended');
  });
});

describe('a flow', () => {
  it('is stopped when its client leaves, and once more when it had not begun', async () => {
    const leaving = new AbortController();
    const answer = answerOf(flowOf(fake.agentflow.id, AGENTFLOW), { hang: true }, leaving.signal);
    await fake.untilCall(0);
    leaving.abort(new Error('left'));
    const { chatId } = await answer;
    expect(await fake.untilAborted(chatId)).toMatchObject({ flowId: fake.agentflow.id });
    await until(() => fake.aborts.filter((abort) => abort.chatId === chatId).length === 2);
  });

  it('with a key of its own that is not ours has failed, and its server has not', async () => {
    const { error, parts } = await answerOf(flowOf(KEYED), {});
    expect([codeOf(error), parts, isServerFault(error, 'flowise')]).toEqual(['UPSTREAM_FAILED', [], false]);
  });

  it('may be another one at another server', async () => {
    const { error } = await answerOf({ ...flowOf(randomUUID()), flowId: fake.chain.id }, { tokens: 1 });
    expect([error, fake.requests[0]?.flowId]).toEqual([undefined, fake.chain.id]);
  });
});

describe('a failure of a server', () => {
  const of = (code: ConstructorParameters<typeof UpstreamError>[0], upstreamStatus?: number, hadBody = false) =>
    new UpstreamError(code, 'detail', { upstreamStatus, hadBody });

  it.each([
    ['no connection', true, true, of('UPSTREAM_UNAVAILABLE')],
    ['silence before anything came', true, true, of('UPSTREAM_TIMEOUT')],
    ['silence after a byte', true, false, of('UPSTREAM_TIMEOUT', undefined, true)],
    ['a broken answer', true, false, of('UPSTREAM_INTERRUPTED', undefined, true)],
    ['status 503', true, true, of('UPSTREAM_FAILED', 503)],
    ['status 400', false, false, of('UPSTREAM_FAILED', 400)],
    ['status 429', false, true, of('RATE_LIMITED', 429)],
    ['an error in place of the first event', false, true, new AppError('UPSTREAM_FAILED', 'error event')],
    ['something unreadable', false, false, new AppError('UPSTREAM_PROTOCOL_ERROR', 'html')],
    ['a client that left', false, false, new Error('left')],
  ])('by %s: counts %s, and another one may be asked %s', (_, counts, mayAsk, error) => {
    expect([isServerFault(error, 'openai'), isReplaceable(error)]).toEqual([counts, mayAsk]);
  });

  it('by status 500 counts, but for Flowise, which says so of a single flow', () => {
    expect([
      isServerFault(of('UPSTREAM_FAILED', 500), 'openai'),
      isServerFault(of('UPSTREAM_FAILED', 500), 'flowise'),
    ]).toEqual([true, false]);
    expect(isServerFault(of('UPSTREAM_FAILED', 502), 'flowise')).toBe(true);
  });
});

describe('a server that must be on the public internet', () => {
  it.each(['127.0.0.1', 'localhost'])('is not connected to when it is %s', async (host) => {
    const guarded = flowise(serverOptions({ baseUrl: `http://${host}:${fake.port}`, publicOnly: true }));
    expect(await guarded.list().then(() => 'listed', codeOf)).toBe('UPSTREAM_UNAVAILABLE');
    expect(fake.otherRequests).toEqual([]);
    await guarded.close();
  });
});
