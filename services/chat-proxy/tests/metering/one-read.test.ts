import { describe, expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import fc from 'fast-check';
import type { AnswerEvent } from '../../src/domain/answer.ts';
import type { HoldId } from '../../src/domain/wire-types.ts';
import { AGENTFLOW, MODEL, TOKEN_PRICE } from '../fixtures/doubles.ts';
import { codeOf, namesOf, readAll, type Stage, type Step, stageWith, text } from '../fixtures/flow-stage.ts';

// What an upstream sends may come part by part, or much of it in one read: nobody may be able to tell from the answer or its price.

const said = fc.oneof(
  fc.integer({ min: 1, max: 4800 }).map((length) => text('x'.repeat(length))),
  fc.constant<Step>({ kind: 'thinking', text: 'well' }),
  fc.constant<Step>({ kind: 'event', event: { event: 'usedTools', data: ['toll'] } }),
  fc.integer({ min: 1, max: 2000 }).map(
    (output): Step => ({
      kind: 'usage',
      usage: { input: 3, cacheRead: 0, output, raw: {} },
    }),
  ),
);
const answers = fc.record({
  steps: fc.array(said, { maxLength: 12 }),
  fails: fc.boolean(),
  isFlow: fc.boolean(),
  available: fc.constantFrom(1030, 1500, 10_000),
  cuts: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 6 }),
});
type Told = typeof answers extends fc.Arbitrary<infer Value> ? Value : never;
const long: Told = {
  steps: Array.from({ length: 6 }, () => text('x'.repeat(1600))),
  fails: false,
  isFlow: true,
  available: 10_000,
  cuts: [6],
};

/** The same steps, so many in one read as the cuts say. */
function inReads({ steps, cuts }: Told): Step[] {
  const reads: Step[] = [];
  for (let at = 0, read = 0; at < steps.length; read += 1) {
    const most = cuts[read % cuts.length] ?? 1;
    reads.push(steps.slice(at, at + most) as Step);
    at += most;
  }
  return reads;
}

function stageFor({ fails, isFlow, available }: Told, steps: Step[]): { stage: Stage; chatflowId: typeof MODEL.id } {
  const chatflow = isFlow ? AGENTFLOW : MODEL;
  const stage = stageWith([...steps, ...(fails ? [new AppError('UPSTREAM_INTERRUPTED')] : [])], (own) => {
    own.chatflows.set(chatflow.id, chatflow);
    own.accounting.price = TOKEN_PRICE;
    own.accounting.available = available;
  });
  return { stage, chatflowId: chatflow.id };
}

const neutral = (events: readonly AnswerEvent[]): unknown =>
  events.map(({ event, data }) =>
    event === 'session_id' ? event : [event, event === 'usage' ? { ...Object(data), request_id: 0 } : data],
  );

/** So many of them at most; leaves it open. */
async function* first(most: number, answer: AsyncIterator<AnswerEvent>): AsyncGenerator<AnswerEvent> {
  for (let read = 0; read < most; read += 1) {
    const next = await answer.next();
    if (next.done) return;
    yield next.value as AnswerEvent;
  }
}

describe('an answer that comes in reads of any size', () => {
  it('is told and charged as one that comes part by part', async () => {
    const ways = new Set<unknown>();
    await fc.assert(
      fc.asyncProperty(answers, async (told) => {
        const outcomes = [];
        for (const steps of [told.steps, inReads(told)]) {
          const { stage, chatflowId } = stageFor(told, steps);
          const { events, error } = await readAll(stage.start({ chatflowId }));
          const { endings, available } = stage.accounting;
          const ended = endings.map(({ ending }) => ending);
          outcomes.push({ events: neutral(events), code: codeOf(error), ended, available });
          expect(stage.accounting.openHolds()).toBe(0);
        }
        const [single, many] = outcomes;
        expect(many).toEqual(single);
        ways.add(single?.code);
      }),
      {
        numRuns: 60,
        endOnFailure: true,
        examples: [[long], [{ ...long, available: 1030 }], [{ ...long, fails: true }]],
      },
    );
    expect(ways).toEqual(new Set([undefined, 'INSUFFICIENT_CREDITS', 'UPSTREAM_INTERRUPTED']));
  });

  it('and is left anywhere leaves no hold, and ends once for whoever reads it again', async () => {
    await fc.assert(
      fc.asyncProperty(answers, fc.integer({ min: 1, max: 14 }), async (told, reads) => {
        const { stage, chatflowId } = stageFor({ ...told, fails: false }, inReads(told));
        const client = new AbortController();
        const reading = stage.requests.chat(stage.asker, stage.ask({ chatflowId }), client.signal);
        const { events, error } = await readAll(first(reads, reading));
        expect([undefined, 'INSUFFICIENT_CREDITS']).toContain(codeOf(error));
        if (error !== undefined) return;
        client.abort();
        await reading.return();
        expect(stage.accounting.openHolds()).toBe(0);
        const requestId = events[0]?.['request_id'] as HoldId;
        const resumed = await readAll(
          await stage.requests.resume(stage.asker, requestId, 0, new AbortController().signal),
        );
        expect(neutral(resumed.events.slice(0, events.length))).toEqual(neutral(events));
        const names = namesOf(resumed.events);
        expect(names.filter((name) => name === 'end')).toEqual(['end']);
        expect(names.filter((name) => name === 'usage')).toEqual(['usage']);
        expect(names.at(-1)).toBe('end');
      }),
      { numRuns: 60, endOnFailure: true },
    );
  });
});
