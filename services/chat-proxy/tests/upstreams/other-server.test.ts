import { describe, expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import { type AnswerRoute, placedAt, targetsInOrder } from '../../src/domain/target.ts';
import { MODEL, chatflowOf } from '../fixtures/doubles.ts';
import { createDrain } from '../../src/flows/answers/drain-answer.ts';
import { createUpstream, type Step } from '../fixtures/flow-ports.ts';
import { codeOf, namesOf, readAll, type Stage, stageWith, text, withModel } from '../fixtures/flow-stage.ts';

const FAILED = new AppError('UPSTREAM_FAILED', 'busy');
const away = (upstream: string, waitMs = 0) => ({ upstream, waitMs });

/** A model with two servers to fall back to, each with its own steps. */
function stageOf(
  steps: { openai: Step[]; second?: Step[]; third?: Step[] },
  waits: ReturnType<typeof away>[] = [],
  options: Parameters<typeof stageWith>[2] = {},
) {
  const stage = stageWith([], withModel, options);
  const servers = Object.fromEntries(
    Object.entries({ openai: steps.openai, second: steps.second ?? [], third: steps.third ?? [] }).map(
      ([name, own]) => {
        const upstream = Object.assign(createUpstream([]), { steps: own, isReplaceable: () => true });
        const waitMs = waits.find((wait) => wait.upstream === name)?.waitMs ?? 0;
        stage.servers.set(name, { ...upstream, answer: upstream.answer, name, kind: 'openai', waitMs: () => waitMs });
        return [name, upstream];
      },
    ),
  );
  const fallbacks = [
    { upstream: 'second', model: 'dear' },
    { upstream: 'third', model: 'rare' },
  ];
  stage.routes.set(MODEL.id, { targets: [], fallbacks });
  const asked = () => Object.entries(servers).flatMap(([name, { prompts }]) => prompts.map(() => name));
  return { stage, servers, asked };
}

const startOn = (stage: Stage, signal?: AbortSignal) => stage.start({ chatflowId: MODEL.id }, signal);

describe('a question whose server has failed before it answered', () => {
  it('is put to the next one as it was, with the hold quoted for that', async () => {
    const { stage, servers, asked } = stageOf({ openai: [FAILED], second: [text('Hi')] });
    const { events, error } = await readAll(startOn(stage));
    expect([error, asked(), namesOf(events).at(-1)]).toEqual([undefined, ['openai', 'second'], 'end']);
    expect(stage.accounting.quoted).toEqual([{ upstream: 'second', model: 'dear', chatflowId: MODEL.id }]);
    const [one, other] = [servers.openai?.prompts[0], servers.second?.prompts[0]];
    expect(other).toEqual(one);
    expect(stage.told.map(({ name, fact }) => [name, Object(fact).upstream, Object(fact).by])).toContainEqual([
      'upstream_replaced',
      'openai',
      'second',
    ]);
  });

  it.each([
    ['the second', ['second']],
    ['both', ['openai', 'second']],
  ])('is read to its end there when its client leaves and %s bills on', async (_which, upstreams) => {
    const after = () => () => undefined;
    const drain = createDrain({ upstreams: new Set(upstreams), atOnce: 1, longestMs: 30_000, after });
    const usage: Step = { kind: 'usage', usage: { input: 0, cacheRead: 0, output: 3, raw: {} } };
    const second = [text('one'), text('two'), text('three'), usage];
    const { stage } = stageOf({ openai: [FAILED], second }, [], { drain });
    const client = new AbortController();
    const answer = startOn(stage, client.signal);
    await answer.next();
    await answer.next();
    client.abort();
    await answer.return();
    expect(stage.accounting.endings).toMatchObject([
      { ending: { kind: 'settle', outcome: 'aborted', units: { output: 3 }, usageSource: 'provider' } },
    ]);
  });

  it('is put to one other server only', async () => {
    const { stage, asked } = stageOf({ openai: [FAILED], second: [FAILED], third: [text('Hi')] });
    expect([codeOf((await readAll(startOn(stage))).error), asked()]).toEqual(['UPSTREAM_FAILED', ['openai', 'second']]);
    expect(stage.accounting.endings).toMatchObject([{ ending: { kind: 'void' } }]);
  });

  it('passes over a server that is left alone, and one that the caller cannot pay', async () => {
    const alone = stageOf({ openai: [FAILED], third: [text('Hi')] }, [away('second', 1)]);
    await readAll(startOn(alone.stage));
    expect(alone.asked()).toEqual(['openai', 'third']);
    const poor = stageOf({ openai: [FAILED], third: [text('Hi')] });
    poor.stage.accounting.refusesExtension = [new AppError('INSUFFICIENT_CREDITS')];
    await readAll(startOn(poor.stage));
    expect(poor.asked()).toEqual(['openai', 'third']);
  });

  it.each([
    ['INSUFFICIENT_CREDITS', 'INSUFFICIENT_CREDITS'],
    ['BUDGET_EXCEEDED', 'BUDGET_EXCEEDED'],
    ['MODEL_NOT_PRICED', 'UPSTREAM_FAILED'],
    ['HOLD_CLOSED', 'UPSTREAM_FAILED'],
    ['ACCOUNTING_UNAVAILABLE', 'UPSTREAM_FAILED'],
  ] as const)('is refused when every other quote ends with %s', async (code, seen) => {
    const { stage, asked } = stageOf({ openai: [FAILED] });
    stage.accounting.refusesExtension = [new AppError(code), new AppError(code)];
    expect([codeOf((await readAll(startOn(stage))).error), asked()]).toEqual([seen, ['openai']]);
    expect(stage.accounting.endings).toMatchObject([{ ending: { kind: 'void' } }]);
  });

  it('asks for as much as several choices are worth beginning for, as the first hold did', async () => {
    const { stage } = stageOf({ openai: [FAILED], second: [text('Hi')] });
    const asked: unknown[] = [];
    const { extend } = stage.accounting;
    stage.accounting.extend = async (...inputs: Parameters<typeof extend>) => {
      asked.push(inputs[2].minOutput);
      return extend(...inputs);
    };
    const completion = { messages: [], parameters: {}, choices: 3, inputBytes: 10 };
    await readAll(stage.start({ chatflowId: MODEL.id, completion }));
    expect(asked).toEqual([768]);
  });

  it('is not put to anybody else once something of an answer has come, or when its client has left', async () => {
    const begun = stageOf({ openai: [text('Hi'), FAILED], second: [text('Hi')] });
    expect([codeOf((await readAll(startOn(begun.stage))).error), begun.asked()]).toEqual([
      'UPSTREAM_FAILED',
      ['openai'],
    ]);
    const left = new AbortController();
    const leave = () => {
      left.abort();
      throw FAILED;
    };
    const gone = stageOf({ openai: [leave], second: [text('Hi')] });
    expect([codeOf((await readAll(startOn(gone.stage, left.signal))).error), gone.asked()]).toEqual([
      'UPSTREAM_FAILED',
      ['openai'],
    ]);
  });

  it('does not begin at all when every server is left alone, and says for how long', async () => {
    const { stage, asked } = stageOf({ openai: [] }, [away('openai', 9000), away('second', 2500), away('third', 4000)]);
    const { error } = await readAll(startOn(stage));
    expect([codeOf(error), Object(error).headers, asked()]).toEqual([
      'UPSTREAM_UNAVAILABLE',
      { 'retry-after': '3' },
      [],
    ]);
    expect([stage.log, stage.sessions.rows.size]).toEqual([[], 0]);
    stage.servers.clear();
    expect(Object((await readAll(startOn(stage))).error)).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', headers: {} });
  });
});

describe('the servers of a model', () => {
  const route: AnswerRoute = {
    targets: [
      { upstream: 'a', model: 'm', weight: 70 },
      { upstream: 'b', model: 'm', weight: 20 },
      { upstream: 'c', model: 'm', weight: 10 },
    ],
    fallbacks: [{ upstream: 'd', model: 'n' }],
  };
  const order = (draw: number, except: string[] = []) =>
    targetsInOrder(MODEL, route, { draw, mayAsk: (name) => !except.includes(name) })
      .map(({ upstream }) => upstream)
      .join('');

  it.each([
    [0, 'abcd'],
    [0.699, 'abcd'],
    [0.7, 'bacd'],
    [0.899, 'bacd'],
    [0.9, 'cabd'],
    [0.999, 'cabd'],
  ])('drawn with %d stand in the order %s', (draw, expected) => {
    expect(order(draw)).toBe(expected);
  });

  it('share the part of one that is left alone; fallbacks are first only when all are', () => {
    expect([order(0.6, ['a']), order(0.7, ['a']), order(0.5, ['a', 'b', 'c']), order(0, ['a', 'b', 'c', 'd'])]).toEqual(
      ['bcd', 'cbd', 'd', ''],
    );
  });

  it('may have no weight: such a one is asked when the others fail', () => {
    const targets = [
      { upstream: 'a', model: 'm', weight: 0 },
      { upstream: 'b', model: 'm', weight: 0 },
    ];
    const some = { draw: 0.5, mayAsk: () => true };
    expect(targetsInOrder(MODEL, { targets, fallbacks: [] }, some)).toEqual(targets);
    const [first] = targetsInOrder(
      MODEL,
      { targets: [...targets, { upstream: 'c', model: 'm', weight: 1 }], fallbacks: [] },
      some,
    );
    expect(first).toMatchObject({ upstream: 'c' });
  });

  it('are the one it was found at, when nothing else is said; a flow has its id there', () => {
    const flow = chatflowOf();
    const some = { draw: 0.9, mayAsk: () => true };
    expect(targetsInOrder(MODEL, undefined, some)).toMatchObject([{ upstream: 'openai', model: 'priced' }]);
    expect(targetsInOrder(flow, undefined, some)).toMatchObject([{ upstream: 'flowise', model: flow.id }]);
    expect(placedAt(flow, { upstream: 'other', model: 'id-there' })).toEqual({
      ...flow,
      upstream: 'other',
      flowId: 'id-there',
    });
    expect(placedAt(MODEL, { upstream: 'other', model: 'm' })).toEqual({ ...MODEL, upstream: 'other', model: 'm' });
  });
});
