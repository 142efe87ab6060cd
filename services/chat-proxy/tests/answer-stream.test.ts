import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import type { Answer, AnswerEvent } from '../src/domain/answer.ts';
import { streamAnswer } from '../src/routes/answer-stream.ts';
import { type Framing, framingFor } from '../src/routes/framing.ts';

const SETTINGS = { heartbeatMs: 10, clientStallMs: 40, failed: () => undefined };

/** An answer of some events, then silence until it is returned or released. */
function quietAnswer() {
  const ended = Promise.withResolvers<void>();
  const silence = Promise.withResolvers<IteratorResult<readonly AnswerEvent[], void>>();
  const first: AnswerEvent = { event: 'session_id', data: 's' };
  let asked = 0;
  const answer = {
    next: () => {
      asked += 1;
      return asked === 1 ? Promise.resolve({ done: false as const, value: [first] }) : silence.promise;
    },
    return: async () => {
      ended.resolve();
      silence.resolve({ done: true, value: undefined });
      return { done: true as const, value: undefined };
    },
    throw: async (error: unknown) => Promise.reject(error as Error),
    [Symbol.asyncIterator]() {
      return this;
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
  return { answer, ended: ended.promise, silence: silence.promise };
}

describe('a client that stops reading', () => {
  it('at a heartbeat has its answer ended, as at an event', async () => {
    const { answer, ended } = quietAnswer();
    const { chunks } = await streamAnswer(answer, framingFor(''), SETTINGS);
    const reader = chunks[Symbol.asyncIterator]();
    expect(String((await reader.next()).value)).toMatch(/^id:1/);
    expect((await reader.next()).value).toBe(':heartbeat\n\n');
    // Nobody asks for more: the answer must end by itself.
    await ended;
    expect((await reader.next()).done).toBe(true);
  });

  it('and goes on in time keeps its answer', async () => {
    const { answer } = quietAnswer();
    const { chunks } = await streamAnswer(answer, framingFor(''), { ...SETTINGS, clientStallMs: 60_000 });
    const reader = chunks[Symbol.asyncIterator]();
    for (const expected of [/^id:1/, /^:heartbeat/, /^:heartbeat/])
      expect(String((await reader.next()).value)).toMatch(expected);
    await answer.return();
    expect((await reader.next()).done).toBe(true);
  });
});

it.each([
  ['a client that has gone is nobody’s failure', new DOMException('This operation was aborted', 'AbortError'), []],
  ['a failure is told once, by its code', new AppError('UPSTREAM_FAILED'), ['UPSTREAM_FAILED']],
])('%s', async (_what, thrown, expected) => {
  async function* broken(): Answer {
    yield [{ event: 'token', data: 'one' }];
    throw thrown;
  }
  const told: string[] = [];
  const settings = { ...SETTINGS, failed: ({ code }: AppError) => told.push(code) };
  const { chunks } = await streamAnswer(broken(), framingFor(''), settings);
  for await (const _chunk of chunks);
  expect(told).toEqual(expected);
});

it('what came together is written together, each event with its number', async () => {
  const token = (data: string): AnswerEvent => ({ event: 'token', data });
  async function* answer(): Answer {
    yield [{ event: 'session_id', data: 's' }, token('one')];
    yield [token('two'), token('three')];
  }
  const { chunks } = await streamAnswer(answer(), framingFor(''), SETTINGS);
  const written: string[] = [];
  for await (const chunk of chunks) written.push(String(chunk));
  expect(written.map((text) => text.match(/^id:\d+/gm))).toEqual([
    ['id:1', 'id:2'],
    ['id:3', 'id:4'],
  ]);
});

it('of a large handful only so much is made as a client takes at once', async () => {
  const events = Array.from({ length: 1000 }, (): AnswerEvent => ({ event: 'token', data: 'x'.repeat(100) }));
  let made = 0;
  const framing: Framing = {
    ...framingFor(''),
    frame(event) {
      made += 1;
      return String(event.data);
    },
  };
  async function* answer(): Answer {
    yield events;
  }
  const { chunks } = await streamAnswer(answer(), framing, SETTINGS);
  const seen: { made: number; characters: number }[] = [];
  for await (const chunk of chunks) seen.push({ made, characters: chunk.length });
  expect(seen.map((piece) => piece.made)).toEqual([164, 328, 492, 656, 820, 984, 1000]);
  expect(Math.max(...seen.map(({ characters }) => characters))).toBe(16_400);
});

it('waits for an event once, however many heartbeats go by before it comes', async () => {
  const { answer, silence } = quietAnswer();
  let followers = 0;
  const then = silence.then.bind(silence);
  Reflect.set(silence, 'then', (...reactions: Parameters<typeof then>) => {
    followers += 1;
    return then(...reactions);
  });
  const { chunks } = await streamAnswer(answer, framingFor(''), { ...SETTINGS, heartbeatMs: 1, clientStallMs: 60_000 });
  const reader = chunks[Symbol.asyncIterator]();
  await reader.next();
  for (let beats = 0; beats < 5; beats += 1) expect((await reader.next()).value).toBe(':heartbeat\n\n');
  expect(followers).toBe(1);
  await answer.return();
  while (!(await reader.next()).done);
});

it('loses no event that comes while a heartbeat is written', async () => {
  const came = Promise.withResolvers<void>();
  const token: AnswerEvent = { event: 'token', data: 'late' };
  async function* answer(): Answer {
    yield [{ event: 'session_id', data: 's' }];
    await came.promise;
    yield [token];
  }
  const { chunks } = await streamAnswer(answer(), framingFor(''), {
    ...SETTINGS,
    heartbeatMs: 1,
    clientStallMs: 60_000,
  });
  const reader = chunks[Symbol.asyncIterator]();
  await reader.next();
  expect((await reader.next()).value).toBe(':heartbeat\n\n');
  came.resolve();
  await turn();
  const rest: string[] = [];
  for (let next = await reader.next(); !next.done; next = await reader.next()) rest.push(String(next.value));
  expect(rest.filter((text) => !text.startsWith(':'))).toEqual([framingFor('').frame(token, 2)]);
});

const EVENTS = 200;

it('keeps nothing of what its client has got, however far off the next heartbeat is', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const given: WeakRef<AnswerEvent>[] = [];
  async function* answer(): Answer {
    for (let at = 0; at < EVENTS; at += 1) {
      const event = { event: 'token', data: `piece ${at}` };
      given.push(new WeakRef(event));
      yield [event];
    }
  }
  const { chunks } = await streamAnswer(answer(), framingFor(''), { ...SETTINGS, heartbeatMs: 3_600_000 });
  const reader = chunks[Symbol.asyncIterator]();
  for (let read = 0; read < EVENTS; read += 1) await reader.next();
  // What a weak reference has been made to is safe until the turn is over.
  await turn();
  collectGarbage();
  expect(given.filter((event) => event.deref() !== undefined).length).toBeLessThan(EVENTS / 10);
  await reader.return?.();
});
